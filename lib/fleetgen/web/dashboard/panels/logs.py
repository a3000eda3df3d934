"""Owns the panel of log lines; its template reads them from the API, so that they never pass through the page's state."""

from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.viewing import View


class Logs(Panel, component="logs.js"):
    """What all processes have logged."""

    def show(self, view: View) -> None:
        """Do nothing: the template follows by itself."""
