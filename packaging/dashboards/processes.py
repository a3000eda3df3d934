"""Owns the dashboard on the processes and what they use; leaves what they produce to the other dashboards."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.expressions import Query, in_range, increase, of, quantile, recorded
from dashboards.frame import dashboard_of
from dashboards.panels import About, Part, bars, number, number_of_last, row, rows_of_labels, series, states
from dashboards.shared import up

DEATHS = "fleetgen_process_deaths_total"
WAIT = "fleetgen_manifest_lock_wait_seconds"


def made() -> Dashboard:
    """Return the dashboard."""
    text = "The processes of one fleetgen set: whether they live, what they use, what went wrong."
    return dashboard_of("processes", text, (*_life(), *_use(), *_trouble(), *_build()))


def _life() -> list[Part]:
    flapping = "Ends that nobody asked for, in the last 15 minutes, whatever time range is chosen."
    return [
        row(100, "Life"),
        up(101, width=12),
        number_of_last(
            About(102, "Deaths in 15 minutes", flapping, "short", "FleetgenProcessFlapping"),
            "15m",
            Query(in_range(DEATHS, "process"), "{{process}}"),
        ),
        bars(
            About(103, "Deaths by cause", "Ends that nobody asked for, in the time range.", "short"),
            Query(in_range(DEATHS, "process, cause"), "{{process}}, {{cause}}"),
        ),
        number(
            About(
                104, "Restarts", "Starts after the first, in the time range; those that were asked for, too.", "short"
            ),
            Query(in_range("fleetgen_process_restarts_total", "process"), "{{process}}"),
        ),
    ]


def _use() -> list[Part]:
    processor = f"sum by (process) (rate({of('process_cpu_seconds_total')}[$__rate_interval]))"
    files = f"max by (process) ({of('process_open_fds')} / {of('process_max_fds')})"
    return [
        row(200, "What they use"),
        series(
            About(201, "Memory", "Resident memory.", "bytes", width=8),
            Query(f"max by (process) ({of('process_resident_memory_bytes')})", "{{process}}"),
        ),
        series(
            About(202, "CPU", "Share of one core.", "percentunit", width=8),
            Query(processor, "{{process}}"),
        ),
        series(
            About(
                203,
                "File descriptors",
                "Open ones, as a share of the most that the process may open.",
                "percentunit",
                width=8,
            ),
            Query(files, "{{process}}"),
        ),
        series(
            About(204, "Free disk space", "On the disk of the data directory.", "bytes", "FleetgenDiskNearlyFull"),
            Query(f"min({of('fleetgen_data_disk_free_bytes')})", "free"),
        ),
        _lock_waits(),
    ]


def _lock_waits() -> Part:
    text = (
        "How long batches waited for the manifest's lock: the median, and what one in twenty and one in a hundred reached "
        "in 15 minutes."
    )
    return series(
        About(205, "Lock waits", text, "s", "FleetgenLockWaitsLong"),
        Query(recorded("process:fleetgen_manifest_lock_wait_seconds:p95_rate15m"), "{{process}}, p95 of 15 minutes"),
        Query(recorded("process:fleetgen_manifest_lock_wait_seconds:p99_rate15m"), "{{process}}, p99 of 15 minutes"),
        Query(quantile(0.5, WAIT, "process"), "{{process}}, p50"),
    )


def _trouble() -> list[Part]:
    valid = f"min by (process) ({of('fleetgen_config_last_reload_successful')})"
    return [
        row(300, "Trouble"),
        series(
            About(
                301, "Errors", "Faults that were logged: work that is tried again, edits that were refused.", "short"
            ),
            Query(increase("fleetgen_errors_total", "process, phase"), "{{process}}, {{phase}}"),
            bars=True,
        ),
        states(
            About(
                302,
                "Configuration",
                "Whether the file was valid when each process last read it.",
                "none",
                "FleetgenConfigurationRefused",
            ),
            {0: ("Refused", "orange"), 1: ("Valid", "green")},
            Query(valid, "{{process}}"),
        ),
    ]


def _build() -> list[Part]:
    labels = f"max by (process, version, algorithm, mode) ({of('fleetgen_build_info')})"
    return [
        row(400, "Build"),
        rows_of_labels(
            About(401, "What runs", "Version, algorithm and mode of each process.", "none", width=24, height=6),
            Query(labels, "{{process}}"),
        ),
    ]
