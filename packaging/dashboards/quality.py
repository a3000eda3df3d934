"""Owns the dashboard on records with an issue: injected, and found; leaves how fast they are found to pipeline.py."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.expressions import Query, in_range, of, rate, recorded
from dashboards.frame import dashboard_of
from dashboards.panels import About, Part, bars, number, row, series

CORRUPTED = "fleetgen_records_corrupted_total"
RECORDS = "fleetgen_records_total"
JUDGED = "fleetgen_pipeline_records_total"
SHARE = recorded("stream:fleetgen_records_corrupted:ratio_increase30m")


def made() -> Dashboard:
    """Return the dashboard."""
    text = "Records with an injected issue in one fleetgen set, and what its pipeline makes of them."
    return dashboard_of("quality", text, (*_injected(), *_by_type(), *_found()))


def _configured(by: str) -> str:
    return f"max by ({by}) ({of('fleetgen_configured_error_ratio')})"


def _beyond_chance() -> str:
    """Return what the alert compares: the distance from the configured share, less four standard deviations."""
    wanted = of("fleetgen_configured_error_ratio")
    deviation = f"max by (job, stream) ({wanted} * (1 - {wanted})) / {recorded('stream:fleetgen_records:increase30m')}"
    return f"abs({SHARE} - {_configured('job, stream')}) - 4 * sqrt({deviation})"


def _injected() -> list[Part]:
    off = "How much further the share over 30 minutes is from the configured one than chance explains; below 0 it does."
    return [
        row(100, "Injected"),
        series(
            About(101, "Share of records with an issue", "Over 30 minutes, and the configured share.", "percentunit"),
            Query(SHARE, "{{stream}}, injected"),
            Query(_configured("stream"), "{{stream}}, configured"),
        ),
        series(
            About(102, "Distance beyond chance", off, "percentunit", "FleetgenCorruptedShareOff"),
            Query(_beyond_chance(), "{{stream}}"),
        ),
        series(
            About(
                103, "Corrupted records per second", "Published with an injected issue.", "suffix:records/s", width=16
            ),
            Query(rate(CORRUPTED, "stream, issue_type"), "{{stream}}, {{issue_type}}"),
            stacked=True,
        ),
        number(
            About(104, "Corrupted records", "Published with an injected issue in the time range.", "short", width=8),
            Query(in_range(CORRUPTED, "stream"), "{{stream}}"),
        ),
    ]


def _by_type() -> list[Part]:
    shares = f"{rate(CORRUPTED, 'issue_type')} / on () group_left () sum({rate(RECORDS, 'stream')})"
    whole = f"{in_range(CORRUPTED, 'stream, issue_type')} / on (stream) group_left () {in_range(RECORDS, 'stream')}"
    configured = f"max({of('fleetgen_configured_error_ratio')})"
    return [
        row(200, "By issue type"),
        series(
            About(
                201,
                "Share by issue type",
                "Of all records, both streams together; the configured share.",
                "percentunit",
            ),
            Query(shares, "{{issue_type}}"),
            Query(configured, "configured"),
            stacked=True,
            unstacked="configured",
        ),
        bars(
            About(202, "Share by issue type in the time range", "Of the records of each stream.", "percentunit"),
            Query(whole, "{{stream}}, {{issue_type}}"),
        ),
    ]


def _found() -> list[Part]:
    rejected = (
        "Lines that did not get into silver, quarantined or duplicate, over 15 minutes; injected issues are among them."
    )
    return [
        row(300, "Found by the pipeline"),
        series(
            About(
                301, "Judged lines per second", "Lines of bronze, by what became of them.", "suffix:lines/s", width=8
            ),
            Query(rate(JUDGED, "outcome"), "{{outcome}}"),
            stacked=True,
        ),
        series(
            About(302, "Rejected share", rejected, "percentunit", width=8),
            Query(recorded("table:fleetgen_pipeline_records:rejected_ratio_rate15m"), "{{table}}"),
        ),
        bars(
            About(303, "Judged lines in the time range", "Lines of bronze, by what became of them.", "short", width=8),
            Query(in_range(JUDGED, "table, outcome"), "{{table}}, {{outcome}}"),
        ),
        series(
            About(
                304,
                "Recall by issue type",
                "Of the records with an issue in the newest batches, the share that the pipeline rejected; 1 is all.",
                "percentunit",
                width=16,
            ),
            Query(f"max by (issue_type) ({of('fleetgen_pipeline_recall_ratio')})", "{{issue_type}}"),
        ),
        number(
            About(
                305,
                "Precision",
                "Of the records that the pipeline rejected in the newest batches, the share with an issue.",
                "percentunit",
                width=8,
            ),
            Query(f"max({of('fleetgen_pipeline_precision_ratio')})", "precision"),
        ),
    ]
