"""Owns the picture of the flow: what was published, what became of it in silver and gold, and who is behind."""

from nicegui import ui

from fleetgen.domain.records import Stream
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.dashboard.widgets import Kind, Value, box, panel, text
from fleetgen.web.known.facts import Health

_OUTCOMES = (("accepted", "accepted"), ("quarantined", "quarantined"), ("duplicate", "duplicates"))
_LATENCIES = ("bronze_to_silver", "silver_to_gold", "end_to_end")


class Flow:
    """Bronze, silver and gold with live counts, latencies between them, and each consumer's backlog."""

    def __init__(self) -> None:
        with panel("Flow", "flow", "wide"):
            with box("div", "flow"):
                with _stage("Bronze", "bronze", "published"):
                    self._published = {stream: _count(stream.value) for stream in Stream}
                    self._batches = _count("batches")
                self._to_silver = _arrow("bronze to silver")
                with _stage("Silver", "silver", "judged line by line"):
                    self._outcomes = {name: _count(label) for name, label in _OUTCOMES}
                self._to_gold = _arrow("silver to gold")
                with _stage("Gold", "gold", "counted"):
                    self._lines = _count("lines counted")
                    self._whole = _count("end to end", "seconds")
            self._consumers = box("div", "consumers")
            self._told: list[tuple[str, int]] | None = None

    def show(self, view: View) -> None:
        """Bring it up to date."""
        health = view.health
        streams = {Stream.COMPANIES: health.company_generator, Stream.EVENTS: health.driver_generator}
        for stream, facts in streams.items():
            self._published[stream].set(facts.total_records)
        self._batches.set(sum(facts.total_batches for facts in streams.values()))
        lines = health.pipeline.lines
        for name, value in self._outcomes.items():
            value.set(None if lines is None else sum(counts.get(name, 0) for counts in lines.values()))
        self._lines.set(None if lines is None else sum(sum(counts.values()) for counts in lines.values()))
        took = health.pipeline.latencies
        for value, name in zip((self._to_silver, self._to_gold, self._whole), _LATENCIES, strict=True):
            value.set(None if took is None else getattr(took, name))
        self._show_consumers(health)

    def _show_consumers(self, health: Health) -> None:
        told = [(each.name, sum(each.backlog.values())) for each in health.pipeline.consumers]
        if told == self._told:
            return
        self._told = told
        self._consumers.clear()
        with self._consumers:
            if not told:
                text("No pipeline is connected: bronze is published, and nobody carries it on.", "p", "empty")
            for name, backlog in told:
                with box("p", f"consumer {'behind' if backlog else ''}"):
                    text(name, "b")
                    Value("number", backlog)
                    text("batch behind" if backlog == 1 else "batches behind")


def _stage(title: str, name: str, what: str) -> ui.element:
    stage = box("div", f"stage {name}")
    with stage, box("header"):
        text(title, "h3")
        text(what, look="label")
    return stage


def _count(label: str, kind: Kind = "number") -> Value:
    with box("p", "count"):
        text(label, look="label")
        return Value(kind, look="large")


def _arrow(label: str) -> Value:
    with box("div", "arrow"):
        text(label, look="visually-hidden")
        value = Value("seconds")
        box("i", **{"aria-hidden": "true"})
    return value
