"""Owns the table of the supervised processes."""

from fleetgen.domain.records import instant
from fleetgen.web.dashboard.viewing import View, milliseconds
from fleetgen.web.dashboard.widgets import Kind, Value, box, panel, text

_GOOD = {"RUNNING", "STARTING"}


class Processes:
    """Every process with its state, restarts and last change."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows: dict[str, tuple[Value, Value, Value, Value]] = {}
        with panel("Processes", "processes"), box("div", "scroll"), box("table"):
            with box("thead"), box("tr"):
                for title in ("process", "state", "pid", "restarts", "since"):
                    text(title, "th", "figure" if title in ("pid", "restarts") else "")
            self._body = box("tbody")

    def show(self, view: View) -> None:
        """Bring it up to date."""
        processes = view.health.processes
        names = [each.name for each in processes]
        if names != self._names:
            self._fill(names)
        for each in processes:
            state, pid, restarts, since = self._rows[each.name]
            state.set(each.state.lower())
            state.classes(replace="state ok" if each.state in _GOOD else "state bad")
            pid.set(None if each.pid is None else str(each.pid))
            restarts.set(each.restarts)
            since.set(None if each.since is None else milliseconds(instant(each.since)))

    def _fill(self, names: list[str]) -> None:
        self._names = names
        self._body.clear()
        with self._body:
            self._rows = {name: _row(name) for name in names}
            if not names:
                with box("tr"), box("td", "empty", colspan="5"):
                    text("No process is supervised here.")


def _row(name: str) -> tuple[Value, Value, Value, Value]:
    with box("tr"):
        with box("th", scope="row"):
            text(name)
        return _cell("text"), _cell("text", "figure"), _cell("number", "figure"), _cell("age")


def _cell(kind: Kind, look: str = "") -> Value:
    with box("td", look):
        return Value(kind)
