"""Owns what is shown of the generators: how much each has made, its last batch, and when the next one comes."""

from typing import Any

from fleetgen.domain.records import SECOND, Stream
from fleetgen.web.dashboard.panel import Panel, as_milliseconds
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.known.facts import StreamFacts
from fleetgen.web.known.history import Past

_TITLES = {Stream.COMPANIES: "Company generator", Stream.EVENTS: "Driver generator"}
_RATE_OF = 10
"""Newest batches from which the rate is told."""


class Generators(Panel, component="generators.js"):
    """Both streams."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        told = {Stream.COMPANIES: view.health.company_generator, Stream.EVENTS: view.health.driver_generator}
        self.put(generators=[_generator(stream, facts, view) for stream, facts in told.items()])


def _generator(stream: Stream, facts: StreamFacts, view: View) -> dict[str, Any]:
    return {
        "name": f"generator-{stream}",
        "title": _TITLES[stream],
        "batches": facts.total_batches,
        "records": facts.total_records,
        "rate": view.once(f"rate {stream}", lambda: _rate(view.past[stream])),
        "last": facts.last_batch_id,
        "published": as_milliseconds(facts.last_batch_time),
        "next": as_milliseconds(facts.next_batch_time),
    }


def _rate(past: list[Past]) -> float | None:
    """Return the records a minute of the newest batches."""
    batches = [(each.published_at, each.records) for each in past if each.published_at is not None][-_RATE_OF:]
    if len(batches) < 2 or batches[-1][0] <= batches[0][0]:
        return None
    return round(sum(records for _, records in batches[1:]) * 60 * SECOND / (batches[-1][0] - batches[0][0]), 1)
