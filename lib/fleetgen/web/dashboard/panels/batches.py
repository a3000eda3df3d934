"""Owns the strips of the newest batches, of which a click opens one."""

from typing import Any

from fleetgen.domain.records import Stream, iso
from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.known.history import Past

SHOWN = 40
"""Newest intervals of each stream."""


class Batches(Panel, component="batches.js"):
    """The newest batches of both streams."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        self.put(columns=SHOWN, strips=view.once("strips", lambda: [_strip(view, stream) for stream in Stream]))


def _strip(view: View, stream: Stream) -> dict[str, Any]:
    return {"stream": stream.value, "batches": [_told(each) for each in view.past[stream][-SHOWN:]]}


def _told(past: Past) -> dict[str, Any]:
    if past.batch_id is None:
        return {"key": f"gap {past.start}", "gap": past.reason, "title": gap_title(past)}
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
