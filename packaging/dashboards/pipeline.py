"""Owns the dashboard on how the pipeline carries batches; leaves what it finds in them to the dashboard quality."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.expressions import Query, distribution, increase, mean, of, quantile, rate, recorded
from dashboards.frame import dashboard_of
from dashboards.panels import About, Part, heat, number, row, series, states
from dashboards.shared import backlog

LATENCY = "fleetgen_pipeline_latency_seconds"
RECORDS = "fleetgen_records_total"
JUDGED = "fleetgen_pipeline_records_total"
END_TO_END = 'stage="end_to_end"'


def made() -> Dashboard:
    """Return the dashboard."""
    text = "How fast the pipeline of one fleetgen set carries batches from bronze to gold, and what holds it up."
    return dashboard_of("pipeline", text, (*_latency(), *_lines(), *_trouble()))


def _latency() -> list[Part]:
    slow = "What one batch in twenty reaches. Exemplars lead to batches."
    return [
        row(100, "Latency"),
        series(
            About(101, "Latency by stage", slow, "s"),
            Query(quantile(0.95, LATENCY, "stage"), "{{stage}}, p95"),
        ),
        heat(
            About(102, "Latency from publication to gold", "Batches by how long they took.", "s"),
            distribution(LATENCY, END_TO_END),
        ),
        series(
            About(
                103,
                "Latency over 5 minutes",
                "What one batch in twenty reaches, from publication to gold.",
                "s",
                "FleetgenPipelineLatencyHigh",
                16,
            ),
            Query(recorded("stage:fleetgen_pipeline_latency_seconds:p95_rate5m", END_TO_END), "{{stage}}, p95"),
        ),
        number(
            About(104, "Mean latency in the time range", "Mean over the whole time range.", "s", width=8),
            Query(mean(LATENCY, "stage", "$__range"), "{{stage}}"),
        ),
    ]


def _lines() -> list[Part]:
    judged = f'label_replace(sum by (table) ({of(JUDGED)}), "stream", "$1", "table", "(.+)")'
    under_way = f"sum by (stream) ({of(RECORDS)}) - on (stream) {judged}"
    return [
        row(200, "Lines"),
        series(
            About(
                201,
                "Lines in, and what became of them",
                "Every line that was published is accepted, quarantined or a duplicate: the areas add up to the line.",
                "suffix:lines/s",
            ),
            Query(rate(JUDGED, "outcome"), "{{outcome}}"),
            Query(f"sum({rate(RECORDS, 'stream')})", "in"),
            stacked=True,
            unstacked="in",
        ),
        series(
            About(
                202,
                "Lines under way",
                "Published lines that are not judged yet; 0 once the pipeline has caught up. The two counts are scraped apart.",
                "suffix:lines",
            ),
            Query(under_way, "{{stream}}"),
        ),
    ]


def _trouble() -> list[Part]:
    return [
        row(300, "Trouble"),
        backlog(301, width=8),
        states(
            About(
                302,
                "Held up",
                "A damaged batch holds up a stream until it is repaired.",
                "none",
                "FleetgenPipelineHeldUp",
                8,
            ),
            {0: ("Flows", "green"), 1: ("Held up", "red")},
            Query(f"max by (stream) ({of('fleetgen_pipeline_held_up')})", "{{stream}}"),
        ),
        series(
            About(303, "Errors", "Work of the pipeline that failed and is tried again.", "short", width=8),
            Query(increase("fleetgen_errors_total", "phase", 'process="pipeline"'), "{{phase}}"),
            bars=True,
        ),
    ]
