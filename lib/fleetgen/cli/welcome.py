"""Owns what `fleetgen up` shows first: where everything is, and what to try next."""

import os
import shlex
from pathlib import Path

import click

from fleetgen.cli.calling import program
from fleetgen.cli.output import DEFAULT_CONFIG
from fleetgen.config.loading import LoadedConfig
from fleetgen.supervision.extras import has_page
from fleetgen.supervision.programs import programs


def welcome(loaded: LoadedConfig, port_offset: int) -> str:
    """Return what the terminal shows first: where everything is, and what to try."""
    mode = loaded.config.mode
    stop = "  Ctrl-C stops it." if _is_attended() else ""
    lines = [f"{click.style('fleetgen', bold=True)} starts in {click.style(mode, bold=True)} mode.{stop}", ""]
    lines.append(f"  data      {short(loaded.layout.data)}")
    known = programs(loaded, port_offset)
    for control in (each for each in known if each.name == "control"):
        if loaded.config.control.dashboard and has_page():
            lines.append(
                f"  page      {click.style(f'{control.url}/', bold=True)}  (watch the data flow, and steer it)"
            )
        lines.append(f"  API       {control.url}/api/health")
    titles = ["metrics", *[""] * (len(known) - 1)]
    lines += [f"  {title:<8}  {each.url}/metrics  ({each.name})" for title, each in zip(titles, known, strict=True)]
    lines += ["", "Try, in another terminal:"]
    tries = _things_to_try(loaded)
    width = max(len(command) for command, _ in tries)
    lines += [f"  {command:<{width}}   {what}" for command, what in tries]
    return "\n".join(lines) + "\n"


def _things_to_try(loaded: LoadedConfig) -> list[tuple[str, str]]:
    """Return commands, as they are called from where the set was started, and what they do."""
    other = "production" if loaded.config.mode == "emulated" else "emulated"
    own = loaded.file == Path.cwd() / DEFAULT_CONFIG and Path("bin/fleetgen").exists()
    fleetgen, named = ("bin/fleetgen", "") if own else (program(), f" --config {quoted(loaded.file)}")
    ctl = "bin/supervisorctl" if own else f"{fleetgen} ctl{named}"
    tries = [
        (f"tail -F {quoted(loaded.layout.logs)}/*.jsonl | jq .", "every batch as JSON"),
        (f"{ctl} stop driver", "stop one process; then: start driver"),
        (f"{fleetgen} mode {other}{named}", "the other mode, within a second"),
    ]
    if loaded.config.pipeline.enabled:
        tries.append((f"{fleetgen} tables{named}", "silver and gold, as they grow; ask them by `query`"))
    return tries


def _is_attended() -> bool:
    """Return whether somebody started this in a terminal, and not systemd, whose journal is read from anywhere."""
    return "NOTIFY_SOCKET" not in os.environ


def quoted(path: Path) -> str:
    """Return a path as it is written in a command for a shell."""
    shown = short(path)
    return shlex.quote(f"./{shown}" if shown.startswith("-") else shown)


def short(path: Path) -> str:
    """Return a path relative to the working directory where that is shorter, and the reader stands there."""
    if not _is_attended():
        return str(path)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
