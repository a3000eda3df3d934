"""Owns steering from the page: pause, resume, reset, mode and preset; each tells what came of it.

What is asked for is done by `api.steering`, off the event loop, one thing at a time on each page. The template asks for
confirmation; what it may ask for is decided here.
"""

import asyncio
from collections.abc import Callable

from nicegui.events import GenericEventArguments

from fleetgen.config.presets import preset_names
from fleetgen.errors import FleetgenError
from fleetgen.storage.files import remedy_of
from fleetgen.web.api import steering
from fleetgen.web.api.control import Control
from fleetgen.web.dashboard.panel import Panel
from fleetgen.web.dashboard.viewing import View

BY = "from the page"
CONFIRMATION = "reset"

_OF_MODE = "This line of the configuration file changes; everything else stays, comments too."
_OF_PRESET = (
    "The preset takes the place of what decides the data. Folders, addresses and ports stay; the present file is kept "
    "beside the new one as .bak."
)


class Steering(Panel, component="steering.js"):
    """The buttons, the dialogs behind them, and what came of the last action."""

    def __init__(self, view: View, control: Control) -> None:
        self._control = control
        self._busy = False
        self._edit: steering.Edit | None = None
        self._unlocked = not view.needs_token
        super().__init__(view)
        self.put(locked=not self._unlocked, busy=False, result="", good=True, edit=None, presets=preset_names())
        self.on("unlock", self._unlock)
        self.on("pause", self._pause)
        self.on("resume", self._resume)
        self.on("reset", self._reset)
        self.on("ask", self._ask)
        self.on("apply", self._apply)
        self.on("cancel", self._cancel)

    def show(self, view: View) -> None:
        """Bring it up to date."""
        health = view.health
        generators = (health.company_generator, health.driver_generator)
        self.put(
            paused=health.lifecycle.paused,
            mode=health.generation_mode,
            batches=sum(each.total_batches for each in generators),
            records=sum(each.total_records for each in generators),
        )

    def _unlock(self, event: GenericEventArguments) -> None:
        self._unlocked = self._control.policy.is_token(str(event.args))
        self.put(locked=not self._unlocked)
        self._tell(
            "Unlocked: this page may make changes." if self._unlocked else "That is not the token.", self._unlocked
        )

    async def _pause(self) -> None:
        await self._do(lambda: steering.pause(self._control, BY, BY).message)

    async def _resume(self) -> None:
        await self._do(lambda: steering.resume(self._control, BY).message)

    async def _reset(self, event: GenericEventArguments) -> None:
        if event.args == CONFIRMATION:
            await self._do(self._clean)

    def _clean(self) -> str:
        cleaned = steering.clean_data(self._control, logs=False, by=BY)
        left = f" {' '.join(cleaned.errors)}" if cleaned.errors else ""
        took = cleaned.duration_ms / 1000
        return f"Reset: {cleaned.deleted_count} items removed in {took:.1f} s.{left} Resume to begin anew."

    async def _ask(self, event: GenericEventArguments) -> None:
        """Show what an edit would change."""
        asked = event.args if isinstance(event.args, dict) else {}
        mode, preset = (str(asked[name]) if asked.get(name) else None for name in ("mode", "preset"))
        try:
            self._edit = await asyncio.to_thread(steering.edit_of, self._control.follower.loaded.file, mode, preset)
        except (FleetgenError, OSError) as fault:
            self._tell(_words(fault), good=False)
            return
        title = f"Change to preset {preset}?" if preset else f"Change to mode {mode}?"
        note = _OF_PRESET if preset else _OF_MODE
        self.put(edit={"title": title, "note": note, "lines": self._edit.difference})

    async def _apply(self) -> None:
        edit = self._edit
        self._cancel()
        if edit is not None:
            await self._do(lambda: steering.apply_edit(self._control, edit, BY))

    def _cancel(self) -> None:
        self._edit = None
        self.put(edit=None)

    async def _do(self, action: Callable[[], str]) -> None:
        """Do one thing, and tell what came of it; what is asked for meanwhile is not done."""
        if self._busy or not self._unlocked:
            return
        self._busy = True
        self.put(busy=True, result="")
        try:
            self._tell(await asyncio.to_thread(action), good=True)
        except (FleetgenError, OSError) as fault:
            self._tell(_words(fault), good=False)
        finally:
            self._busy = False
            self.put(busy=False)

    def _tell(self, words: str, good: bool) -> None:
        self.put(result=words, good=good)


def _words(fault: Exception) -> str:
    if isinstance(fault, OSError) and not isinstance(fault, FleetgenError):
        return f"Not done: {fault.strerror or fault}. {remedy_of(fault)}"
    return str(fault)
