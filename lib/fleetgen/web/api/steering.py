"""Owns what people may ask of a running set over HTTP and from the page: pause, resume, clean, another configuration.

Each is done by the functions that the command line uses, and is told in the log with who asked.
"""

import difflib
import time
from dataclasses import dataclass
from pathlib import Path

from fleetgen.cadence.clock import system_now
from fleetgen.config.editing import keep_beside, with_mode, with_preset, write_config
from fleetgen.config.loading import parse, read_text
from fleetgen.config.presets import preset_for_use
from fleetgen.domain.records import Stream, iso
from fleetgen.errors import Unreachable, UsageError
from fleetgen.generation import lifecycle
from fleetgen.generation.cleaning import clean
from fleetgen.generation.lifecycle import Resumed
from fleetgen.supervision.client import empty_logs
from fleetgen.web.api import answers
from fleetgen.web.api.control import Control
from fleetgen.web.known.health import auto_reinit

BASELINE_WAIT_SECONDS = 1.5
"""How long a resume waits for the first batches, so that its answer comes within 2 s."""

_PROCESS = {Stream.COMPANIES: "company", Stream.EVENTS: "driver"}


def pause(control: Control, reason: str | None, by: str) -> answers.Changed:
    """Let nothing be published until a resume; ``by`` says how it was asked for, such as ``over HTTP``."""
    changed = lifecycle.pause(control.follower.dataset, system_now(), reason)
    if changed:
        why = f": {reason}" if reason else ""
        control.log.info(f"Paused {by}{why}", kind="paused", reason=reason)
    message = "Paused: no batch is published until a resume." if changed else "Already paused."
    return _changed("pause", message, None)


def resume(control: Control, by: str) -> answers.Changed:
    """Let each stream go on; wait a moment for the first batches of an empty dataset."""
    dataset = control.follower.dataset
    resumed = lifecycle.resume(dataset, system_now(), control.follower.loaded.config)
    if not resumed.changed:
        return _changed("resume", "Not paused.", None)
    control.log.info(f"Resumed {by}", kind="resumed", baseline_actions=list(resumed.actions))
    pending = _await_baseline(control, resumed)
    manifest = dataset.manifest()
    extra = answers.ResumeExtra(
        baseline_actions=list(resumed.actions), pending=pending, auto_reinit=auto_reinit(manifest.reinitialised)
    )
    return _changed("resume", _resumed_message(control, resumed, pending), extra)


def _emptied_logs(control: Control) -> tuple[list[str], list[str]]:
    """Empty the logs; return which held something, and what kept them from being emptied: the data are gone all the same."""
    try:
        return empty_logs(control.follower.dataset.layout.logs, control.supervisor), []
    except Unreachable as fault:
        return [], [f"The logs are not emptied: {fault}"]


def clean_data(control: Control, logs: bool, by: str) -> answers.Cleaned:
    """Delete the whole dataset, and the logs if asked; raises PauseRequired."""
    began = time.monotonic()
    layout = control.follower.dataset.layout
    cleaned = clean(layout)
    emptied, errors = _emptied_logs(control) if logs else ([], [])
    items = [*cleaned.items, *(str((layout.logs / name).relative_to(layout.data)) for name in emptied)]
    control.log.info(f"Cleaned {by}: {len(items)} items", kind="cleaned", items=items)
    return answers.Cleaned(
        success=not cleaned.left and not errors,
        deleted_count=len(items),
        deleted_items=items,
        duration_ms=round((time.monotonic() - began) * 1000, 3),
        errors=[f"{name} could not be deleted yet; the next start tries again." for name in cleaned.left] + errors,
    )


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of the configuration file that was shown and not made yet."""

    before: str
    after: str
    is_preset: bool

    @property
    def difference(self) -> list[str]:
        """The lines that change, with some around them, as in a unified diff."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=2)
        return list(lines)[2:]


def edit_of(file: Path, mode: str | None = None, preset: str | None = None) -> Edit:
    """Return the edit that sets this mode or chooses this preset; raises ConfigurationError, UsageError."""
    before = read_text(file)
    parse(before, file)
    after = before if mode is None else with_mode(before, mode)
    after = after if preset is None else with_preset(after, preset_for_use(preset))
    parse(after, file)
    return Edit(before, after, preset is not None)


def apply_edit(control: Control, edit: Edit, by: str) -> str:
    """Make an edit, if the file still is as it was shown; return what was done. Raises UsageError, CannotCreate."""
    file = control.follower.loaded.file
    if read_text(file) != edit.before:
        raise UsageError(f"{file.name} was changed meanwhile: nothing was written. Look at the difference again.")
    kept = f" The file that was there is kept as {keep_beside(file).name}." if edit.is_preset else ""
    write_config(file, edit.after)
    control.log.info(f"Edited {file.name} {by}", kind="config")
    return f"{file.name} is changed; the set follows within a second.{kept}"


def _changed(action: str, message: str, extra: answers.ResumeExtra | None) -> answers.Changed:
    return answers.Changed(
        success=True,
        action="pause" if action == "pause" else "resume",
        status="paused" if action == "pause" else "running",
        timestamp=iso(system_now()),
        message=message,
        error=None,
        extra=extra,
    )


def _await_baseline(control: Control, resumed: Resumed) -> list[Stream]:
    """Wait a moment for the first batches; return the streams that have none yet."""
    store, deadline = control.follower.dataset.store, time.monotonic() + BASELINE_WAIT_SECONDS
    pending = list(resumed.missing)
    while pending and time.monotonic() < deadline:
        time.sleep(0.02)
        if manifest := store.read():
            pending = [stream for stream in pending if not manifest.head(stream).next_batch]
    return pending


def _resumed_message(control: Control, resumed: Resumed, pending: list[Stream]) -> str:
    if not resumed.missing:
        return "Resumed: each stream goes on with its next interval."
    running = {each.name for each in control.supervised().processes if each.state == "RUNNING"}
    stopped = [name for stream in pending if (name := _PROCESS[stream]) not in running]
    if stopped:
        return f"Resumed, but {' and '.join(stopped)} does not run: start it with `supervisorctl start {stopped[0]}`."
    return f"Resumed: {', '.join(resumed.actions)} {'will be' if pending else 'are'} made."
