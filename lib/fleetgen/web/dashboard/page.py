"""Owns the page: which panels it has, in which order, and their life from the first view to the last."""

from collections.abc import Callable
from pathlib import Path

from nicegui import Client, ui

from fleetgen.cadence.clock import system_now
from fleetgen.web.api.control import Control
from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.panels.batches import Batches
from fleetgen.web.dashboard.panels.cadence import Cadence
from fleetgen.web.dashboard.panels.flow import Flow
from fleetgen.web.dashboard.panels.generators import Generators
from fleetgen.web.dashboard.panels.head import Head
from fleetgen.web.dashboard.panels.logs import Logs
from fleetgen.web.dashboard.panels.processes import Processes
from fleetgen.web.dashboard.panels.quality import Quality
from fleetgen.web.dashboard.panels.steering import Steering
from fleetgen.web.dashboard.viewing import View, Viewers, milliseconds

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0b62d6"/>'
    '<path d="M4 12V4h8M4 8h6" stroke="#fff" stroke-width="2" fill="none"/></svg>'
)

_COMPONENTS = Path(__file__).parent / "components"
_HEAD = (
    f"<script>{(_COMPONENTS / 'page.js').read_text(encoding='utf-8')}</script>"
    f"<style>{(_COMPONENTS / 'page.css').read_text(encoding='utf-8')}</style>"
)


def draw(control: Control, viewers: Viewers) -> Callable[[Client], None]:
    """Return what draws the page for one browser tab."""

    def page(client: Client) -> None:
        ui.add_head_html(_HEAD)
        panels = _panels(control, viewers.view())

        def show(view: View) -> None:
            for panel in panels:
                panel.show(view)

        def connected() -> None:
            client.run_javascript(f"window.fleetgen.synchronise({milliseconds(system_now())})")
            viewers.join(show)

        client.on_connect(connected)
        client.on_disconnect(lambda: viewers.leave(show))
        client.on_delete(lambda: viewers.leave(show))

    return page


def _panels(control: Control, view: View) -> list[Panel]:
    with ui.element("header").classes("top"):
        top: list[Panel] = [Head(view), Steering(view, control)]
    with ui.element("div").classes("grid"):
        return [
            *top,
            Flow(view),
            Generators(view),
            Processes(view),
            Batches(view),
            Cadence(view),
            Quality(view),
            Logs(view),
        ]
