"""Owns the table of the supervised processes."""

from fleetgen.web.dashboard.panel import Panel, as_milliseconds
from fleetgen.web.dashboard.viewing import View

_GOOD = {"RUNNING", "STARTING"}


class Processes(Panel, component="processes.js"):
    """Every process with its state, restarts and last change."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        self.put(
            processes=[
                {
                    "name": each.name,
                    "state": each.state.lower(),
                    "good": each.state in _GOOD,
                    "pid": each.pid,
                    "restarts": each.restarts,
                    "since": as_milliseconds(each.since),
                }
                for each in view.health.processes
            ]
        )
