"""Owns the head of the page: how the set is, in words, and whether the page is live."""

from fleetgen import __version__
from fleetgen.domain.records import instant
from fleetgen.web.dashboard.viewing import View, milliseconds
from fleetgen.web.dashboard.widgets import Connection, Kind, Value, box, text

_WORDS = {"running": "Running", "paused": "Paused", "degraded": "Degraded"}


class Glance:
    """Status with its reasons, mode, seed and uptime."""

    def __init__(self) -> None:
        with box("div", "glance"):
            with box("h1", "brand"):
                text("fleetgen")
            self._status = box("p", "status", role="status")
            with self._status:
                self._word = text("")
            self._mode = _fact("mode")
            self._seed = _fact("seed")
            self._up = _fact("up", "elapsed")
            _fact("version").set(__version__)
            Connection()
        self._reasons = box("ul", "reasons", **{"aria-label": "What is wrong", "aria-live": "polite"})
        self._told: list[tuple[str, str]] = []

    def show(self, view: View) -> None:
        """Bring it up to date."""
        health = view.health
        self._word.set(_WORDS[health.status])
        self._status.classes(replace=f"status {health.status}")
        self._mode.set(health.generation_mode)
        self._seed.set(None if health.base_seed is None else str(health.base_seed))
        self._up.set(milliseconds(instant(health.uptime.start_time)))
        told: list[tuple[str, str]] = [(reason.code, reason.detail) for reason in health.reasons]
        if health.lifecycle.paused:
            why = health.lifecycle.pause_reason
            told.insert(0, ("paused", f"Nothing is published until a resume.{f' Reason: {why}' if why else ''}"))
        if told != self._told:
            self._told = told
            self._reasons.clear()
            with self._reasons:
                for code, detail in told:
                    with box("li", code):
                        text(code.replace("_", " "), "b")
                        text(f" {detail}")


def _fact(name: str, kind: Kind = "text") -> Value:
    with box("p", "fact"):
        text(name, look="label")
        return Value(kind)
