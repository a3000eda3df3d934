"""Owns `fleetgen logs`: the log lines of all processes as one, for people as sentences, for programs as JSON Lines."""

import heapq
import select
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import click

from fleetgen.cli.completing import offer_processes
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import UsageError
from fleetgen.logbook.files import GREATEST_LIMIT, LogFiles, and_worse
from fleetgen.logbook.lines import LEVELS, LogLine
from fleetgen.supervision.programs import programs
from fleetgen.telemetry.colours import coloured
from fleetgen.telemetry.logs import sentence

_LOOK_MILLISECONDS = 100
_INTERRUPTED = 130
"""The status of a program that Ctrl-C ended, as shells tell it."""


@click.command
@click.argument("processes", nargs=-1, metavar="[PROCESS]...", shell_complete=offer_processes)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=20, show_default=True, help="Lines to begin with.")
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), help="Only this level and worse.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines on a terminal too.")
@with_config
def logs(
    processes: tuple[str, ...], follow: bool, lines: int, level: str | None, as_json: bool, config_file: Path
) -> None:
    """Show the log of all processes, or of some, merged by time: sentences on a terminal, JSON Lines in a pipe."""
    loaded = load_in_use(config_file)
    log = LogFiles(loaded.layout.logs, processes or None)
    _check(processes, loaded, log)
    levels = and_worse(level) if level else None
    printer = _Printer(as_json or not sys.stdout.isatty())
    try:
        newest, place = _last(log, lines, levels)
        printer.print(newest)
        if place is None:
            click.echo(f"There are no log lines in {loaded.layout.logs} yet.", err=True)
        if follow:
            _follow(log, levels, place, printer)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


class _Printer:
    """Writes lines to standard output."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._colour = coloured(sys.stdout)

    def print(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            text = line.as_json if self._as_json else _readable(line, self._colour)
            sys.stdout.write(text.encode(errors="replace").decode() + "\n")
        sys.stdout.flush()


def _readable(line: LogLine, colour: bool) -> str:
    named = {"timestamp": line.timestamp, "level": line.level, "logger": line.logger, "event": line.event}
    try:
        return sentence(line.extra | named, colour)
    except (TypeError, LookupError, AttributeError):  # a field that is not what fleetgen writes under its name
        return sentence(named, colour)


def _check(processes: tuple[str, ...], loaded: LoadedConfig, log: LogFiles) -> None:
    known = sorted({program.name for program in programs(loaded)} | set(log.processes()))
    for name in processes:
        if name not in known:
            raise UsageError(f"No process is called {name!r}; there are {', '.join(known)}.")


def _last(log: LogFiles, count: int, levels: list[str] | None) -> tuple[list[LogLine], str | None]:
    # The newest lines, oldest first, and the cursor above them.
    page = log.newest(min(max(count, 1), GREATEST_LIMIT), levels=levels)
    lines, place = page.lines[:count], page.next_since
    while len(lines) < count and page.next_before is not None:
        page = log.newest(min(count - len(lines), GREATEST_LIMIT), before=page.next_before, levels=levels)
        lines += page.lines
    return lines[::-1], place


def _follow(log: LogFiles, levels: list[str] | None, place: str | None, printer: _Printer) -> NoReturn:
    # A line waits for one more look, so that what another process wrote at the same time takes its place before it.
    waiting: list[LogLine] = []
    while True:
        _wait()
        later, place = _later(log, levels, place)
        ripe, waiting = ripened(waiting, later)
        if ripe:
            printer.print(ripe)


def _later(log: LogFiles, levels: list[str] | None, place: str | None) -> tuple[list[LogLine], str | None]:
    page = log.newest(GREATEST_LIMIT, since=place, levels=levels)
    lines, after = page.lines, page.next_since
    while page.next_before is not None:
        page = log.newest(GREATEST_LIMIT, since=place, before=page.next_before, levels=levels)
        lines += page.lines
    return lines[::-1], after


def ripened(waiting: list[LogLine], later: list[LogLine]) -> tuple[list[LogLine], list[LogLine]]:
    """Merge lines by time; return them up to the last that waited, and the rest, which waits."""
    if not waiting:
        return [], later
    merged = list(heapq.merge(waiting, later, key=lambda line: (line.timestamp, line.process)))
    ripe = 1 + next(place for place, line in enumerate(merged) if line is waiting[-1])
    return merged[:ripe], merged[ripe:]


def _wait() -> None:
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    if poller.poll(_LOOK_MILLISECONDS):  # whoever read has gone
        raise BrokenPipeError
