"""Owns how punctual the batches are, and how large beside their bounds."""

from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.panels.batches import gap_title
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.known.history import Past

LIMIT_SECONDS = 1.0
_TITLES = {Stream.COMPANIES: "company batches", Stream.EVENTS: "driver batches"}
_LATE = {"scale": "log", "low": 0.0001, "high": 10.0, "lines": [{"value": LIMIT_SECONDS, "label": "limit 1 s"}]}


class Cadence(Panel, component="cadence.js"):
    """Start lag, interval deviation and batch sizes of each stream, interval by interval."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        self.put(streams=view.once("cadence", lambda: [_stream(view, stream) for stream in Stream]))


def _stream(view: View, stream: Stream) -> dict[str, Any]:
    past = view.past[stream]
    charts = [
        _lateness("start lag", past, [each.lag for each in past]),
        _lateness("interval deviation", past, [each.deviation for each in past]),
        _sizes(past, _bounds(view, stream)),
    ]
    return {"name": f"cadence-{stream}", "title": f"Cadence: {_TITLES[stream]}", "charts": charts}


def _lateness(title: str, past: list[Past], seconds: list[float | None]) -> dict[str, Any]:
    told = list(zip(past, seconds, strict=True))
    worst = max((value for each, value in told if value is not None and not each.caught_up), default=None)
    points = [_late(each, value) for each, value in told]
    return {
        "title": title,
        "what": "worst of those shown",
        "kind": "seconds",
        "value": worst,
        "points": points,
        **_LATE,
    }


def _sizes(past: list[Past], lines: list[dict[str, Any]]) -> dict[str, Any]:
    newest = next((each.records for each in reversed(past) if each.batch_id), None)
    points = [_sized(each) for each in past]
    return {
        "title": "records in a batch",
        "what": "newest",
        "kind": "number",
        "value": newest,
        "points": points,
        "lines": lines,
    }


def _late(past: Past, seconds: float | None) -> dict[str, Any]:
    if past.batch_id is None:
        return gap(past)
    if seconds is None:
        return {"values": [], "kinds": [], "gap": None, "title": f"Batch {past.batch_id}: not known"}
    kind = "late" if past.caught_up else "bad" if seconds > LIMIT_SECONDS else "ok"
    made_up = " (made up for)" if past.caught_up else ""
    title = f"Batch {past.batch_id}: {seconds * 1000:.2f} ms{made_up}"
    return {"values": [seconds], "kinds": [kind], "gap": None, "title": title}


def _sized(past: Past) -> dict[str, Any]:
    if past.batch_id is None:
        return gap(past)
    title = f"Batch {past.batch_id}: {past.records} records"
    return {"values": [past.records], "kinds": ["plain"], "gap": None, "title": title}


def gap(past: Past) -> dict[str, Any]:
    """Return the point of intervals that were left out."""
    return {"values": [], "kinds": [], "gap": past.reason, "title": gap_title(past)}


def _bounds(view: View, stream: Stream) -> list[dict[str, Any]]:
    settings = view.settings
    if stream is Stream.COMPANIES:
        return [{"value": settings.companies_per_batch, "label": f"{settings.companies_per_batch} a batch"}]
    if settings.events_per_batch is None:
        return []
    least, most = settings.events_per_batch
    return [{"value": most, "label": f"at most {most}"}, {"value": least, "label": f"at least {least}"}]
