"""Owns the strips of the newest batches, of which a click opens one."""

from fleetgen.domain.records import Stream, iso
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.dashboard.widgets import Strip, panel, text
from fleetgen.web.known.history import Past

SHOWN = 40
"""Newest intervals of each stream."""


class Batches:
    """The newest batches of both streams."""

    def __init__(self) -> None:
        self._strips: dict[Stream, Strip] = {}
        with panel("Newest batches", "batches", "wide"):
            for stream in Stream:
                text(stream.value, "h3")
                self._strips[stream] = Strip(stream.value, SHOWN)

    def show(self, view: View) -> None:
        """Bring it up to date."""
        for stream, strip in self._strips.items():
            newest = view.past[stream][-SHOWN:]
            strip.put(batches=view.once(f"strip {stream}", lambda newest=newest: [_told(each) for each in newest]))


def _told(past: Past) -> dict[str, object]:
    if past.batch_id is None:
        title = gap_title(past)
        return {"key": f"gap {past.start}", "gap": past.reason, "title": title}
    issues = f", {past.corrupted} with an issue" if past.corrupted else ""
    return {
        "key": past.batch_id,
        "id": past.batch_id,
        "gap": None,
        "records": past.records,
        "corrupted": past.corrupted,
        "title": f"Batch {past.batch_id}: {past.records} records{issues}",
    }


def gap_title(past: Past) -> str:
    """Say why intervals were left out."""
    count = "An interval" if past.intervals == 1 else f"{past.intervals} intervals"
    detail = f": {past.detail}" if past.detail else ""
    return f"{count} until {iso(past.end)[:19]}Z left out ({past.reason}){detail}"
