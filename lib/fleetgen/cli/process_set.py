"""Owns the commands about the whole set: up, down, reload, ctl."""

import os
import sys
import time
from pathlib import Path

import click

from fleetgen.cli.answering import await_answers
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.cli.welcome import welcome
from fleetgen.config.loading import LoadedConfig, load
from fleetgen.config.token import read_token, token_mark
from fleetgen.config.watching import keep_as_last_good
from fleetgen.errors import HeldByAnother, NotRunning, Unreachable
from fleetgen.machine import has_ended
from fleetgen.storage.files import make_folder, make_private, replace_file
from fleetgen.storage.probing import require_disk, require_path_for_tables
from fleetgen.supervision.client import Supervisor
from fleetgen.supervision.deeds import tell
from fleetgen.supervision.extras import check_extras
from fleetgen.supervision.finding import conf_places, set_of
from fleetgen.supervision.limits import check_limits, ensure_temporary_folder
from fleetgen.supervision.listening import refusal_to_listen
from fleetgen.supervision.programs import (
    Program,
    programs,
    record_programs,
    recorded_offset,
    recorded_programs,
    render,
    socket_of,
)
from fleetgen.telemetry.colours import coloured

_DOWN_TIMEOUT_SECONDS = 60


@click.command
@click.option("--port-offset", type=click.IntRange(0, 60_000), default=0, help="Added to every port: for a second set.")
@click.option("--log", "form", type=click.Choice(["text", "json"]), default="text", help="How log lines are shown.")
@with_config
def up(port_offset: int, form: str, config_file: Path) -> None:
    """Start the set in the foreground; Ctrl-C stops it."""
    loaded = load(config_file)
    text = render(loaded, port_offset, token_mark(loaded))
    check_limits()
    check_extras(loaded)
    read_token(loaded)
    _refuse_second(loaded)
    for program in programs(loaded, port_offset):
        _check_port(program, port_offset)
    make_private(loaded.run)
    ensure_temporary_folder(loaded.run)
    make_folder(loaded.layout.logs)
    require_disk(loaded.layout)
    if loaded.config.pipeline.enabled:
        require_path_for_tables(loaded.layout.data)
    record_programs(loaded, port_offset)
    keep_as_last_good(loaded)
    conf = _write_conf(loaded, text)
    if form == "text":
        click.echo(welcome(loaded, port_offset), color=coloured(sys.stdout))
    os.environ["FLEETGEN_LOG"] = form
    _become_supervisord(conf)


@click.command
@with_config
def reload(config_file: Path) -> None:
    """Bring changed ports, addresses, token, paths.data and [supervisor] into force; restarts only what they concern.

    Everything else needs no reload: the processes notice an edit by themselves.
    """
    loaded = load(config_file)
    supervisor = Supervisor(loaded.socket)
    if not supervisor.is_up():
        raise NotRunning
    offset = recorded_offset(loaded)
    in_force = "".join(path.read_text() for path in conf_places(loaded) if path.exists())
    check_extras(loaded)
    read_token(loaded)
    for program in programs(loaded, offset):
        _check_port(program, offset, is_own=f" --port {program.port} " in in_force)
    make_folder(loaded.layout.logs)
    _write_conf(loaded, render(loaded, offset, token_mark(loaded)))
    keep_as_last_good(loaded)
    before = {program.name for program in recorded_programs(loaded)}
    record_programs(loaded, offset)
    changed = supervisor.apply_changes()
    after = programs(loaded, offset)
    silent = await_answers([program for program in after if program.name in changed])
    tell(loaded.layout.logs, f"Reloaded by command: {', '.join(changed) or 'nothing to restart'}", "config")
    click.echo(_changes(changed, before, {program.name for program in after}))
    if silent:
        raise Unreachable(
            f"{', '.join(silent)} does not answer yet: see `fleetgen status` and `fleetgen logs {silent[0]}`."
        )


def _changes(changed: list[str], before: set[str], after: set[str]) -> str:
    """Say what became of each process that was concerned."""
    kinds = {"Restarted": before & after, "Started": after - before, "Stopped": before - after}
    told = {kind: [name for name in changed if name in names] for kind, names in kinds.items()}
    return " ".join(f"{kind}: {', '.join(names)}." for kind, names in told.items() if names) or "Nothing to restart."


@click.command
@with_config
def down(config_file: Path) -> None:
    """Stop the set and wait until it has ended."""
    loaded = load_in_use(config_file)
    supervisor = set_of(loaded)
    if not supervisor.is_up():
        click.echo("The set is not running.")
        return
    pid = supervisor.pid()
    supervisor.shut_down()
    deadline = time.monotonic() + _DOWN_TIMEOUT_SECONDS
    while not has_ended(pid):
        if time.monotonic() > deadline:
            raise HeldByAnother(f"supervisord (process {pid}) still runs after {_DOWN_TIMEOUT_SECONDS} s.")
        time.sleep(0.05)
    click.echo("The set has stopped.")


@click.command(context_settings={"ignore_unknown_options": True})
@with_config
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ctl(config_file: Path, arguments: tuple[str, ...]) -> None:
    """Call supervisorctl with the right file, such as `fleetgen ctl stop driver`."""
    loaded = load_in_use(config_file)
    conf = next((path for path in conf_places(loaded) if socket_of(path, loaded.file) is not None), None)
    if conf is None or not set_of(loaded).is_up():
        raise NotRunning
    os.environ["PYTHONUTF8"] = "1"
    command = [sys.executable, "-m", "supervisor.supervisorctl", "--configuration", str(conf), *arguments]
    os.execv(sys.executable, command)


def _become_supervisord(conf: Path) -> None:
    """Replace this process."""
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, "-m", "fleetgen.supervision.daemon", "--configuration", str(conf)])


def _refuse_second(loaded: LoadedConfig) -> None:
    supervisor = set_of(loaded)
    if supervisor.is_up():
        raise HeldByAnother(
            f"The set is already running (supervisord is process {supervisor.pid()}). See it with `fleetgen status`, "
            "stop it with `fleetgen down`."
        )


def _check_port(program: Program, offset: int, is_own: bool = False) -> None:
    """Raise HeldByAnother if a process could not listen on its port; of an own one, only the address is tried."""
    if refused := refusal_to_listen(program, port=0 if is_own else None):
        raise HeldByAnother(
            f"Port {program.port} on {program.address}, for {_served(program)}, {refused}. Start with "
            f"`fleetgen up --port-offset {offset + 100}`, or set {program.port_key} to a free port."
        )


def _served(program: Program) -> str:
    return "the HTTP API" if program.name == "control" else f"the metrics of {program.name}"


def _write_conf(loaded: LoadedConfig, text: str) -> Path:
    """Write supervisord's file beside the configuration, where supervisorctl looks, or else into the run folder."""
    beside, fallback = conf_places(loaded)
    try:
        replace_file(beside, text.encode())
    except OSError:
        replace_file(fallback, text.encode())
        return fallback
    return beside
