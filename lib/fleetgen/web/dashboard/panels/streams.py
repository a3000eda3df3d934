"""Owns what is shown of each generator: how much it has made, its last batch, and when the next one comes."""

from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.web.dashboard.viewing import View, milliseconds
from fleetgen.web.dashboard.widgets import Kind, Value, box, panel, text
from fleetgen.web.known.facts import StreamFacts
from fleetgen.web.known.history import Past

_TITLES = {Stream.COMPANIES: "Company generator", Stream.EVENTS: "Driver generator"}
_RATE_OF = 10
"""Newest batches from which the rate is told."""


class Generator:
    """One stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        with panel(_TITLES[stream], f"generator-{stream}", "generator"):
            with box("dl", "figures"):
                self._batches = _figure("batches", "number", "large")
                self._records = _figure("records", "number", "large")
                self._rate = _figure("records a minute", "decimal", "large")
            with box("dl", "lines"):
                self._last = _figure("last batch", "text")
                self._age = _figure("published", "age")
                self._next = _figure("next batch", "until")

    def show(self, view: View) -> None:
        """Bring it up to date."""
        health = view.health
        facts: StreamFacts = health.company_generator if self._stream is Stream.COMPANIES else health.driver_generator
        self._batches.set(facts.total_batches)
        self._records.set(facts.total_records)
        self._rate.set(_rate(view.past[self._stream]))
        self._last.set(facts.last_batch_id or "none yet")
        self._age.set(_milliseconds(facts.last_batch_time))
        self._next.set(_milliseconds(facts.next_batch_time))


def _rate(past: list[Past]) -> float | None:
    """Return the records a minute of the newest batches."""
    batches = [each for each in past if each.published_at is not None][-_RATE_OF:]
    if len(batches) < 2:
        return None
    first, last = batches[0].published_at or 0, batches[-1].published_at or 0
    if last <= first:
        return None
    return round(sum(each.records for each in batches[1:]) * 60 * SECOND / (last - first), 1)


def _milliseconds(told: str | None) -> int | None:
    return None if told is None else milliseconds(instant(told))


def _figure(name: str, kind: Kind, look: str = "") -> Value:
    with box():
        text(name, "dt")
        return Value(kind, tag="dd", look=look)
