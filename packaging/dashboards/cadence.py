"""Owns the dashboard that says whether batches come when they are due; leaves what is in them to the dashboard quality."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.expressions import Query, distribution, in_range, mean, of, percentiles, quantile, recorded
from dashboards.frame import dashboard_of
from dashboards.panels import About, Part, bars, heat, number, row, series

LAG = "fleetgen_batch_start_lag_seconds"
DEVIATION = "fleetgen_batch_interval_deviation_seconds"
DURATION = "fleetgen_batch_duration_seconds"
SIZE = "fleetgen_batch_size_records"


def made() -> Dashboard:
    """Return the dashboard."""
    text = "Whether batches of one fleetgen set start when they are due, how long they take, and how large they are."
    return dashboard_of("cadence", text, (*_lag(), *_deviation(), *_missed(), *_batches()))


def _lag() -> list[Part]:
    return [
        row(100, "Start lag"),
        heat(About(101, "Start lag", "Batches by how long after they were due they started.", "s"), distribution(LAG)),
        series(
            About(102, "Start lag, percentiles", "Each point leads to a batch by its exemplars.", "s"),
            *percentiles(LAG, "process"),
        ),
        series(
            About(
                103,
                "Start lag over 15 minutes",
                "What one batch in twenty, and one in a hundred, reaches.",
                "s",
                "FleetgenStartLagHigh",
                16,
            ),
            Query(recorded("process:fleetgen_batch_start_lag_seconds:p95_rate15m"), "{{process}}, p95"),
            Query(recorded("process:fleetgen_batch_start_lag_seconds:p99_rate15m"), "{{process}}, p99"),
        ),
        _whole_range(104, "Start lag in the time range", LAG),
    ]


def _deviation() -> list[Part]:
    text = "What one interval in twenty, and one in a hundred, reaches."
    return [
        row(200, "Interval deviation"),
        heat(
            About(201, "Interval deviation", "Batches by how far their interval was from the scheduled one.", "s"),
            distribution(DEVIATION),
        ),
        series(
            About(202, "Interval deviation, percentiles", "Each point leads to a batch by its exemplars.", "s"),
            *percentiles(DEVIATION, "process"),
        ),
        series(
            About(203, "Interval deviation over 15 minutes", text, "s", "FleetgenIntervalDeviationHigh", 16),
            Query(recorded("process:fleetgen_batch_interval_deviation_seconds:p95_rate15m"), "{{process}}, p95"),
            Query(recorded("process:fleetgen_batch_interval_deviation_seconds:p99_rate15m"), "{{process}}, p99"),
        ),
        _whole_range(204, "Interval deviation in the time range", DEVIATION),
    ]


def _whole_range(id_number: int, title: str, histogram: str) -> Part:
    text = "99th percentile over the whole time range: in production mode choose one of many intervals."
    return number(
        About(id_number, title, text, "s", width=8),
        Query(quantile(0.99, histogram, "process", window="$__range"), "{{process}}"),
    )


def _missed() -> list[Part]:
    missed = 'reason!="paused"'
    return [
        row(300, "Missed and overdue"),
        bars(
            About(301, "Missed intervals in the time range", "Intervals that became gaps, by why.", "short", width=8),
            Query(in_range("fleetgen_batches_missed_total", "stream, reason"), "{{stream}}, {{reason}}"),
        ),
        series(
            About(
                302,
                "Missed intervals in 15 minutes",
                "Intervals that became gaps although nobody paused the set.",
                "short",
                "FleetgenIntervalsMissed",
                8,
            ),
            Query(recorded("stream_reason:fleetgen_batches_missed:delta15m", missed), "{{stream}}, {{reason}}"),
        ),
        series(
            About(
                303,
                "Overdue",
                "Intervals since the next batch was due; below 0 until then.",
                "none",
                "FleetgenNoBatch",
                8,
            ),
            Query(recorded("process:fleetgen_batch_overdue:intervals"), "{{process}}"),
        ),
        series(
            About(304, "Overdue in seconds", "Seconds since the next batch was due; below 0 until then.", "s"),
            Query(recorded("process:fleetgen_batch_overdue:seconds"), "{{process}}"),
        ),
        number(
            About(
                305,
                "Due in the far future",
                "Intervals since the next batch was due: far below 0 where the clock was set back.",
                "none",
                "FleetgenClockBehind",
            ),
            Query(recorded("process:fleetgen_batch_overdue:intervals"), "{{process}}"),
        ),
    ]


def _batches() -> list[Part]:
    slow = "What one batch in a hundred takes in each phase. Exemplars lead to batches."
    return [
        row(400, "Batches"),
        series(
            About(401, "Duration by phase", "Mean time of a batch in each phase, both streams together.", "s"),
            Query(mean(DURATION, "phase"), "{{phase}}"),
            stacked=True,
        ),
        series(
            About(402, "Duration by phase, 99th percentile", slow, "s"),
            Query(quantile(0.99, DURATION, "process, phase"), "{{process}}, {{phase}}"),
        ),
        series(
            About(
                403,
                "Batch size against its limits",
                "Mean records in a batch; in production mode without limits.",
                "short",
            ),
            Query(mean(SIZE, "process"), "{{process}}, mean"),
            Query(f"max by (process, bound) ({of('fleetgen_batch_size_limit_records')})", "{{process}}, {{bound}}"),
        ),
        heat(About(404, "Batch sizes", "Batches by how many records they have.", "short"), distribution(SIZE)),
        bars(
            About(405, "Duration in the time range", "Mean time of a batch in each phase.", "s"),
            Query(mean(DURATION, "process, phase", "$__range"), "{{process}}, {{phase}}"),
        ),
        number(
            About(406, "Batch size in the time range", "Mean records in a batch.", "short"),
            Query(mean(SIZE, "process", "$__range"), "{{process}}"),
        ),
    ]
