"""Owns the panels that several dashboards show; leaves where they stand to these."""

from dashboards.expressions import Query, of
from dashboards.panels import About, Part, series, states


def up(number: int, width: int) -> Part:
    """Return which processes are up."""
    text = "Up: Prometheus reaches the process, supervisord says that it runs, and its heartbeat moves."
    return states(
        About(number, "Up", text, "none", "FleetgenProcessDown", width),
        {0: ("Down", "red"), 1: ("Up", "green")},
        Query(f"min by (process) ({of('up')} or {of('fleetgen_process_up')})", "{{process}}"),
    )


def held_up(number: int, width: int) -> Part:
    """Return which generators a consumer that is behind holds up."""
    text = "Whether a consumer that is behind keeps batches from being published."
    active = of("fleetgen_backpressure_active", 'process!="control"')
    return states(
        About(number, "Held up by a consumer", text, "none", "FleetgenBackpressure", width),
        {0: ("Publishing", "green"), 1: ("Held up", "red")},
        Query(f"max by (process) ({active})", "{{process}}"),
    )


def backlog(number: int, width: int) -> Part:
    """Return how far consumers are behind."""
    text = "Published batches that a consumer has not acknowledged. The alert fires while they do not become fewer."
    return series(
        About(number, "Backlog", text, "suffix:batches", "FleetgenBacklogGrowing", width),
        Query(f"max by (consumer, stream) ({of('fleetgen_backlog_batches')})", "{{consumer}}, {{stream}}"),
    )
