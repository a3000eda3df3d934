"""Owns the dashboard that says whether a set runs and what flows; leaves why it does not to the other dashboards."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.expressions import Query, in_range, of, rate
from dashboards.frame import dashboard_of
from dashboards.panels import About, Part, number, row, series, states
from dashboards.shared import backlog, held_up, up


def made() -> Dashboard:
    """Return the dashboard."""
    text = "What flows through one fleetgen set, and whether its processes are up."
    return dashboard_of("overview", text, (*_now(), *_flow(), *_processes()))


def _now() -> list[Part]:
    due = f"min by (stream) ({of('fleetgen_next_batch_scheduled_timestamp_seconds')}) - time()"
    age = f"time() - max by (stream) ({of('fleetgen_last_batch_completion_timestamp_seconds')})"
    return [
        row(100, "Now"),
        number(
            About(101, "Batches", "Batches published in the time range.", "short", width=6, height=5),
            Query(in_range("fleetgen_batches_total", "stream"), "{{stream}}"),
        ),
        number(
            About(102, "Records", "Records published in the time range.", "short", width=6, height=5),
            Query(in_range("fleetgen_records_total", "stream"), "{{stream}}"),
        ),
        number(
            About(103, "Next batch due in", "Below 0 while the batch is overdue.", "s", width=6, height=5),
            Query(due, "{{stream}}"),
        ),
        number(
            About(104, "Age of the last batch", "Since the last batch was published.", "s", width=6, height=5),
            Query(age, "{{stream}}"),
        ),
    ]


def _flow() -> list[Part]:
    return [
        row(200, "Flow"),
        series(
            About(201, "Batches per second", "How fast batches are published.", "suffix:batches/s", width=8),
            Query(rate("fleetgen_batches_total", "stream"), "{{stream}}"),
        ),
        series(
            About(202, "Records per second", "How fast records are published.", "suffix:records/s", width=8),
            Query(rate("fleetgen_records_total", "stream"), "{{stream}}"),
        ),
        series(
            About(203, "Bytes per second", "Bytes of data files that are published.", "Bps", width=8),
            Query(rate("fleetgen_output_bytes_total", "stream"), "{{stream}}"),
        ),
        backlog(204, width=12),
        held_up(205, width=12),
    ]


def _processes() -> list[Part]:
    paused = f"max by (process) ({of('fleetgen_paused')})"
    active = of("fleetgen_mode_active", 'mode="production"')
    return [
        row(300, "Processes"),
        up(301, width=8),
        states(
            About(302, "Paused", "Whether publishing is paused, as each process sees it.", "none", width=8),
            {0: ("Running", "green"), 1: ("Paused", "yellow")},
            Query(paused, "{{process}}"),
        ),
        states(
            About(303, "Mode", "The mode in force, as each generator has it.", "none", width=8),
            {0: ("emulated", "blue"), 1: ("production", "purple")},
            Query(f"max by (process) ({active})", "{{process}}"),
        ),
    ]
