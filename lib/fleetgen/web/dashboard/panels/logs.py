"""Owns the panel of log lines."""

from fleetgen.web.dashboard.viewing import View
from fleetgen.web.dashboard.widgets import Log, panel


class Logs:
    """What all processes have logged; the component reads it from the API."""

    def __init__(self) -> None:
        with panel("Logs", "logs", "wide"):
            Log()

    def show(self, view: View) -> None:
        """Do nothing: the component follows by itself."""
