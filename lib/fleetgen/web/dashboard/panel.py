"""Owns what all panels of the page are: an element of plain values, drawn in the browser by the template beside it.

Markup, words and the reader's locale are the template's (`panels/NAME.js`), which values there are is Python's
(`panels/NAME.py`). A page has one element for each panel, so that it costs little to keep and to bring up to date.
"""

from typing import Any

from nicegui import ui

from fleetgen.domain.records import instant
from fleetgen.web.dashboard.viewing import View, milliseconds


class Panel(ui.element, esm={"fleetgen-page": "components"}):
    """A part of the page. Texts are shown as text, never as markup."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self._props["id"] = type(self).__name__.lower()
        self.show(view)

    def show(self, view: View) -> None:
        """Bring it up to date."""
        raise NotImplementedError

    def put(self, **values: Any) -> None:
        """Give the template other values; those that are as they were are not sent."""
        # NiceGUI would copy a list, and all that is in it, for each page; a tuple it takes as it is.
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        changed = {name: each for name, each in given.items() if name not in self._props or self._props[name] != each}
        if changed:
            self._props.update(changed)
            self.update()


def as_milliseconds(told: str | None) -> int | None:
    """Return a timestamp of the API as browsers count."""
    return None if told is None else milliseconds(instant(told))
