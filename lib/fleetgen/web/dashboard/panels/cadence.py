"""Owns how punctual the batches are, and how large beside their bounds."""

from fleetgen.domain.records import Stream
from fleetgen.web.dashboard.panels.batches import gap_title
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.dashboard.widgets import Bars, Value, box, panel, text
from fleetgen.web.known.history import Past

LIMIT_SECONDS = 1.0
_LOW, _HIGH = 0.0001, 10.0
_LIMIT: dict[str, object] = {"value": LIMIT_SECONDS, "label": "limit 1 s"}
_TITLES = {Stream.COMPANIES: "Company batches", Stream.EVENTS: "Driver batches"}


class Cadence:
    """Start lag, interval deviation and batch sizes of one stream, interval by interval."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        with panel(f"Cadence: {_TITLES[stream].lower()}", f"cadence-{stream}"):
            self._lag = _chart("start lag", "worst of those shown", "log")
            self._deviation = _chart("interval deviation", "worst of those shown", "log")
            self._size = _chart("records in a batch", "newest", "linear")

    def show(self, view: View) -> None:
        """Bring it up to date."""
        lag, deviation, sizes = view.once(f"cadence {self._stream}", lambda: _drawn(view, self._stream))
        for (bars, figure), (points, lines, value) in zip(
            (self._lag, self._deviation, self._size), (lag, deviation, sizes), strict=True
        ):
            bars.put(points=points, lines=lines)
            figure.set(value)


def _drawn(view: View, stream: Stream) -> list[tuple[list[dict[str, object]], list[dict[str, object]], float | None]]:
    """Return each chart's points and lines, and the number beside it."""
    past = view.past[stream]
    charts = []
    for name in ("lag", "deviation"):
        worst = max((value for each in past if (value := _punctual(each, name)) is not None), default=None)
        charts.append(([_late(each, getattr(each, name)) for each in past], [_LIMIT], worst))
    newest = next((float(each.records) for each in reversed(past) if each.batch_id), None)
    charts.append(([_sized(each) for each in past], _bounds(view, stream), newest))
    return charts


def _chart(title: str, what: str, scale: str) -> tuple[Bars, Value]:
    with box("div", "chart"):
        with box("p", "chart-title"):
            text(title, "b")
            text(what, look="label")
            value = Value("seconds" if scale == "log" else "number")
        return Bars(title, scale=scale, low=_LOW, high=_HIGH if scale == "log" else 0), value


def _punctual(past: Past, name: str) -> float | None:
    """Return a batch's lag or deviation, unless it was late on purpose."""
    value: float | None = None if past.caught_up else getattr(past, name)
    return value


def _late(past: Past, seconds: float | None) -> dict[str, object]:
    if past.batch_id is None:
        return {"values": [], "kinds": [], "gap": past.reason, "title": gap_title(past)}
    if seconds is None:
        return {"values": [], "kinds": [], "gap": None, "title": f"Batch {past.batch_id}: not known"}
    kind = "late" if past.caught_up else "bad" if seconds > LIMIT_SECONDS else "ok"
    made_up = " (made up for)" if past.caught_up else ""
    title = f"Batch {past.batch_id}: {seconds * 1000:.2f} ms{made_up}"
    return {"values": [seconds], "kinds": [kind], "gap": None, "title": title}


def _sized(past: Past) -> dict[str, object]:
    if past.batch_id is None:
        return {"values": [], "kinds": [], "gap": past.reason, "title": gap_title(past)}
    title = f"Batch {past.batch_id}: {past.records} records"
    return {"values": [past.records], "kinds": ["plain"], "gap": None, "title": title}


def _bounds(view: View, stream: Stream) -> list[dict[str, object]]:
    settings = view.settings
    if stream is Stream.COMPANIES:
        return [{"value": settings.companies_per_batch, "label": f"{settings.companies_per_batch} a batch"}]
    if settings.events_per_batch is None:
        return []
    least, most = settings.events_per_batch
    return [{"value": most, "label": f"at most {most}"}, {"value": least, "label": f"at least {least}"}]
