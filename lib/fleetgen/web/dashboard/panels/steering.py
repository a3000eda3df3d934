"""Owns steering from the page: pause, resume, reset, mode and preset; each tells what came of it.

What is asked for is done by `api.steering`, off the event loop, one thing at a time on each page.
"""

import asyncio
from collections.abc import Callable

from nicegui import ui
from nicegui.events import GenericEventArguments

from fleetgen.config.presets import preset_names
from fleetgen.errors import FleetgenError
from fleetgen.storage.files import remedy_of
from fleetgen.web.api import steering
from fleetgen.web.api.control import Control
from fleetgen.web.dashboard.viewing import View
from fleetgen.web.dashboard.widgets import Button, box, choice, text

BY = "from the page"
CONFIRMATION = "reset"

_MODES = ("emulated", "production")
_PRESET = "preset …"
_OF_MODE = "This line of the configuration file changes; everything else stays, comments too."
_OF_PRESET = (
    "The preset takes the place of what decides the data. Folders, addresses and ports stay; the present file is kept "
    "beside the new one as .bak."
)


class Steering:
    """The buttons, the dialogs behind them, and what came of the last action."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._busy = False
        self._unlocked = control.policy.token is None
        self._paused: bool | None = None
        self._mode = control.follower.settings.mode
        with box("div", "steering", **{"role": "group", "aria-label": "Steering"}):
            self._token = self._token_form()
            self._pause = Button("Pause", self._pause_or_resume, "primary")
            self._reset = Button("Reset …", self._ask_reset)
            self._modes = box("span")
            self._draw_choices()
            Button("Theme", None, "quiet", **{"aria-label": "Switch between light and dark"}).on(
                "click", js_handler="() => window.fleetgen.toggle()"
            )
            self._result = text("", "p", "result")
            self._result._props["role"] = "status"
        self._confirming = _Confirming(self._do_reset)
        self._editing = _Editing(self._do_edit, self._draw_choices)

    def show(self, view: View) -> None:
        """Bring it up to date."""
        paused = view.health.lifecycle.paused
        if paused != self._paused:
            self._paused = paused
            self._pause.label.set("Resume" if paused else "Pause")
            self._enable()
        if view.health.generation_mode != self._mode:
            self._mode = view.health.generation_mode
            self._draw_choices()
        self._confirming.show(view)

    def _token_form(self) -> ui.element | None:
        if self._unlocked:
            return None
        form = box("form", "token")
        with form:
            field = box("input", "field", type="password", placeholder="token", autocomplete="off")
            field._props["aria-label"] = "Token that changes need"
            with box("button", "button", type="submit"):
                text("Unlock")
        form.on(
            "submit",
            self._unlock,
            js_handler="(event) => (event.preventDefault(), emit(event.target.elements[0].value))",
        )
        return form

    def _unlock(self, event: GenericEventArguments) -> None:
        self._unlocked = self._control.policy.is_token(str(event.args))
        self._tell(
            "Unlocked: this page may make changes." if self._unlocked else "That is not the token.", self._unlocked
        )
        if self._unlocked and self._token is not None:
            self._token.delete()
            self._token = None
        self._enable()

    def _draw_choices(self) -> None:
        self._modes.clear()
        with self._modes:
            choice("Mode", _MODES, self._mode, lambda mode: self._ask_edit(mode=mode))
            choice("Preset", (_PRESET, *preset_names()), _PRESET, lambda preset: self._ask_edit(preset=preset))
        self._enable()

    def _enable(self) -> None:
        free = self._unlocked and not self._busy
        _enable(self._pause, free)
        _enable(self._reset, free and bool(self._paused))
        self._reset._props["title"] = "" if self._paused else "Pause first: nothing may be written meanwhile."
        for select in self._modes.default_slot.children:
            _enable(select, free)

    async def _pause_or_resume(self) -> None:
        if self._paused:
            await self._do(lambda: steering.resume(self._control, BY).message)
        else:
            await self._do(lambda: steering.pause(self._control, BY, BY).message)

    def _ask_reset(self) -> None:
        if self._unlocked and self._paused:
            self._confirming.open()

    async def _do_reset(self) -> None:
        await self._do(self._clean)
        self._confirming.close()

    def _clean(self) -> str:
        cleaned = steering.clean_data(self._control, logs=False, by=BY)
        left = f" {' '.join(cleaned.errors)}" if cleaned.errors else ""
        return f"Reset: {cleaned.deleted_count} items removed in {cleaned.duration_ms / 1000:.1f} s.{left} Resume to begin anew."

    async def _ask_edit(self, mode: str | None = None, preset: str | None = None) -> None:
        if not self._unlocked or preset == _PRESET or mode == self._mode:
            return
        try:
            edit = await asyncio.to_thread(steering.edit_of, self._control.follower.loaded.file, mode, preset)
        except (FleetgenError, OSError) as fault:
            self._tell(_words(fault), good=False)
            self._draw_choices()
            return
        self._editing.open(f"mode {mode}" if mode else f"preset {preset}", edit)

    async def _do_edit(self, edit: steering.Edit) -> None:
        await self._do(lambda: steering.apply_edit(self._control, edit, BY))
        self._draw_choices()

    async def _do(self, action: Callable[[], str]) -> None:
        """Do one thing, and tell what came of it; what is asked for meanwhile is not done."""
        if self._busy or not self._unlocked:
            return
        self._busy = True
        self._enable()
        try:
            self._tell(await asyncio.to_thread(action), good=True)
        except (FleetgenError, OSError) as fault:
            self._tell(_words(fault), good=False)
        finally:
            self._busy = False
            self._enable()

    def _tell(self, words: str, good: bool) -> None:
        self._result.set(words)
        self._result.classes(replace="result ok" if good else "result bad")


class _Confirming:
    """The dialog that asks for a typed word before everything is deleted."""

    def __init__(self, does: Callable[[], object]) -> None:
        self._does = does
        self._typed = ""
        with box("dialog", "asking", **{"aria-labelledby": "reset-title"}) as self._dialog, box("div"):
            text("Delete the dataset?", "h2")._props["id"] = "reset-title"
            self._what = text("", "p")
            with box("label"):
                text(f"Type {CONFIRMATION} to go on ")
                self._field = box("input", "field", type="text", autocomplete="off")
            self._progress = box("progress", "hidden", **{"aria-label": "Deleting"})
            with box("p", "actions"):
                self._yes = Button("Delete everything", self._confirmed, "danger", disabled="true")
                Button("Cancel", self.close)
        self._field.on("input", self._type, js_handler="(event) => emit(event.target.value)")

    def show(self, view: View) -> None:
        """Say what there is to lose."""
        health = view.health
        batches = health.company_generator.total_batches + health.driver_generator.total_batches
        records = health.company_generator.total_records + health.driver_generator.total_records
        self._what.set(
            f"{batches:,} batches with {records:,} records, their truth, the ledgers and all tables go. "
            "The pause, the configuration and the logs stay."
        )

    def open(self) -> None:
        """Ask."""
        self._type_text("")
        self._field._props["value"] = ""
        self._field.update()
        self._dialog.run_method("showModal")

    def close(self) -> None:
        """Close the dialog."""
        self._progress.classes(replace="hidden")
        self._dialog.run_method("close")

    def _type(self, event: GenericEventArguments) -> None:
        self._type_text(str(event.args))

    def _type_text(self, typed: str) -> None:
        self._typed = typed.strip().lower()
        _enable(self._yes, self._typed == CONFIRMATION)

    async def _confirmed(self) -> None:
        if self._typed != CONFIRMATION:
            return
        self._type_text("")
        self._progress.classes(replace="")
        result = self._does()
        if asyncio.iscoroutine(result):
            await result


class _Editing:
    """The dialog that shows what an edit of the configuration changes, before it does."""

    def __init__(self, does: Callable[[steering.Edit], object], cancelled: Callable[[], None]) -> None:
        self._does, self._cancelled = does, cancelled
        self._edit: steering.Edit | None = None
        with box("dialog", "asking", **{"aria-labelledby": "edit-title"}) as self._dialog, box("div"):
            self._title = text("", "h2")
            self._title._props["id"] = "edit-title"
            self._note = text("", "p")
            self._lines = box("pre", "difference", tabindex="0", **{"aria-label": "Difference"})
            with box("p", "actions"):
                Button("Change the file", self._confirmed, "primary")
                Button("Cancel", self._cancel)
        self._dialog.on("close", cancelled)

    def open(self, what: str, edit: steering.Edit) -> None:
        """Ask."""
        self._edit = edit
        self._title.set(f"Change to {what}?")
        self._note.set(_OF_PRESET if edit.is_preset else _OF_MODE)
        self._lines.clear()
        with self._lines:
            for line in edit.difference or ["Nothing would change."]:
                text(line, look={"+": "added", "-": "removed"}.get(line[:1], "same"))
        self._dialog.run_method("showModal")

    def _cancel(self) -> None:
        self._edit = None
        self._dialog.run_method("close")

    async def _confirmed(self) -> None:
        edit, self._edit = self._edit, None
        self._dialog.run_method("close")
        if edit is None:
            return
        result = self._does(edit)
        if asyncio.iscoroutine(result):
            await result


def _words(fault: Exception) -> str:
    if isinstance(fault, OSError) and not isinstance(fault, FleetgenError):
        return f"Not done: {fault.strerror or fault}. {remedy_of(fault)}"
    return str(fault)


def _enable(element: ui.element, enabled: bool) -> None:
    if element._props.get("disabled") != (not enabled):
        element._props["disabled"] = not enabled
        element.update()
