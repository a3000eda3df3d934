"""Folders of logs as supervisord leaves them, written line by line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from fleetgen.logbook.files import LogFiles
from fleetgen.logbook.lines import LogLine

START = datetime(2026, 1, 1, tzinfo=UTC)


PROCESSES = ("company", "control", "driver")


def at(milliseconds: int) -> str:
    return f"{START + timedelta(milliseconds=milliseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass(frozen=True)
class Said:
    """One line that a process wrote: when, how bad, and a text that no other line has."""

    process: str
    milliseconds: int
    level: str
    text: str

    @property
    def raw(self) -> bytes:
        first = {"timestamp": at(self.milliseconds), "level": self.level, "logger": self.process, "event": self.text}
        return json.dumps({**first, "kind": "test"}).encode() + b"\n"


def said(process: str, times: list[int], levels: list[str] | None = None, name: str = "") -> list[Said]:
    chosen = levels or ["info"] * len(times)
    return [
        Said(process, time, level, f"{process} {name}{number}")
        for number, (time, level) in enumerate(zip(times, chosen, strict=True))
    ]


def write(folder: Path, process: str, content: bytes, cuts: list[int]) -> None:
    """Write one process's files, cut at these bytes: in the middle of lines too, as supervisord does."""
    edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        place = len(edges) - 2 - number
        (folder / (f"{process}.jsonl" + (f".{place}" if place else ""))).write_bytes(content[start:stop])


def rotate(folder: Path, process: str, keep: int = 100) -> None:
    """Rename the files as supervisord does, and begin a new one."""
    for place in range(keep, 0, -1):
        older = folder / f"{process}.jsonl.{place}"
        newer = folder / (f"{process}.jsonl" + (f".{place - 1}" if place > 1 else ""))
        if newer.exists():
            newer.rename(older)
    (folder / f"{process}.jsonl").touch()


def append(folder: Path, lines: list[Said]) -> None:
    for line in lines:
        with (folder / f"{line.process}.jsonl").open("ab") as file:
            file.write(line.raw)


def texts(lines: list[LogLine]) -> list[str]:
    return [line.event for line in lines]


def paged(
    logs: LogFiles, limit: int, between: Callable[[], None] = lambda: None, levels: list[str] | None = None
) -> list[str]:
    """All lines, page by page, backwards."""
    page = logs.newest(limit, levels=levels)
    found = texts(page.lines)
    while page.next_before is not None:
        between()
        page = logs.newest(limit, before=page.next_before, levels=levels)
        assert page.lines, "a page that was announced is empty"
        found += texts(page.lines)
        assert len(found) <= 300, "lines repeat without end"
    return found


def bytes_read(work: Callable[[], object]) -> int:
    def count() -> int:
        return int(Path("/proc/thread-self/io").read_text().split()[1])

    own = count()
    own = count() - own
    before = count()
    work()
    return count() - before - own
