"""Owns the elements that panels are made of. Texts and values are shown by the browser as text, never as markup.

What a browser knows better than the server (its locale, its time zone, how late it is) is left to the components.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from nicegui import ui
from nicegui.events import GenericEventArguments

Kind = Literal["text", "number", "decimal", "percent", "seconds", "time", "age", "elapsed", "until"]

_COMPONENTS = Path(__file__).parent / "components"


class _Drawn(ui.element):
    """An element with props of its own that are sent only when they change."""

    def put(self, **props: Any) -> None:
        """Set props."""
        changed = {name: value for name, value in props.items() if self._props.get(name) != value}
        if changed:
            self._props.update(changed)
            self.update()


class Value(_Drawn, component=_COMPONENTS / "value.js"):
    """A text, a number in the reader's locale, or an instant (in milliseconds) as a time or as an age that grows."""

    def __init__(self, kind: Kind, value: Any = None, tag: str = "span", look: str = "") -> None:
        super().__init__()
        self._props.update(kind=kind, value=value, tag=tag)
        self.classes(look)

    def set(self, value: Any) -> None:
        """Show another value; None is shown as a dash."""
        self.put(value=value)


class Bars(_Drawn, component=_COMPONENTS / "bars.js"):
    """A bar for each interval, with lines for limits: see `bars.js` for the props."""

    def __init__(self, label: str, **props: Any) -> None:
        super().__init__()
        self._props.update(label=label, points=[], lines=[], **props)


class Strip(_Drawn, component=_COMPONENTS / "strip.js"):
    """A button for each of the newest batches, which opens it."""

    def __init__(self, stream: str, columns: int) -> None:
        super().__init__()
        self._props.update(stream=stream, batches=[], columns=columns)


class Log(_Drawn, component=_COMPONENTS / "log.js"):
    """The log lines of all processes, read from the API."""


class Connection(_Drawn, component=_COMPONENTS / "connection.js"):
    """Whether the page is connected, and what it does about it if not."""


def text(content: str, tag: str = "span", look: str = "") -> Value:
    """A text."""
    return Value("text", content, tag, look)


def box(tag: str = "div", look: str = "", **attributes: str) -> ui.element:
    """An element that holds others."""
    element = ui.element(tag).classes(look)
    element._props.update(attributes)
    return element


def panel(title: str, name: str, look: str = "") -> ui.element:
    """A titled section of the page."""
    section = box("section", f"panel {look}", **{"aria-labelledby": f"{name}-title", "id": name})
    with section:
        heading = text(title, "h2")
        heading._props["id"] = f"{name}-title"
    return section


class Button(ui.element):
    """A button; ``does`` may be a coroutine."""

    def __init__(self, label: str, does: Callable[..., Any] | None = None, look: str = "", **attributes: str) -> None:
        super().__init__("button")
        self.classes(f"button {look}")
        self._props.update({"type": "button", **attributes})
        with self:
            self.label = text(label)
        if does is not None:
            self.on("click", does)


def choice(label: str, options: Sequence[str], value: str, does: Callable[[str], Any]) -> ui.element:
    """A list of which one option is chosen."""

    def chosen(event: GenericEventArguments) -> Any:
        return does(event.args)

    element = box("select", "choice", **{"aria-label": label})
    with element:
        for option in options:
            entry = box("option", value=option)
            if option == value:
                entry._props["selected"] = True
            with entry:
                text(option)
    element.on("change", chosen, js_handler="(event) => emit(event.target.value)")
    return element
