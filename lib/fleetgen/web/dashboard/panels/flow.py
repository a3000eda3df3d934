"""Owns the picture of the flow: what was published, what became of it in silver and gold, and who is behind."""

from collections import Counter

from fleetgen.domain.records import Stream
from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.viewing import View


class Flow(Panel, component="flow.js"):
    """Bronze, silver and gold with live counts, latencies between them, and each consumer's backlog."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        health = view.health
        streams = {Stream.COMPANIES: health.company_generator, Stream.EVENTS: health.driver_generator}
        lines, took = health.pipeline.lines, health.pipeline.latencies
        outcomes: Counter[str] = Counter()
        for counts in (lines or {}).values():
            outcomes.update(counts)
        self.put(
            published={stream: facts.total_records for stream, facts in streams.items()},
            batches=sum(facts.total_batches for facts in streams.values()),
            outcomes=None if lines is None else dict(outcomes),
            latencies=None if took is None else took.model_dump(),
            consumers=[{"name": each.name, "behind": sum(each.backlog.values())} for each in health.pipeline.consumers],
        )
