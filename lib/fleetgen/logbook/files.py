"""Owns the log of a whole set: the lines of all processes, newest first, in pages that lose and repeat nothing.

Order: each process's lines stand in the order in which it wrote them; processes are merged by the lines' times, and at
the same time by name. A page ends at a cursor, which names one line of each process. So paging is exact whatever
happens between two pages: equal times, new lines, rotation, a clock that was set back.

A plain timestamp as `since` or `before` compares the lines' own times. It is exact too while no process's times go back
by more than a second; behind a greater step back, lines from before it may be missing from the answer.

A line that is being written is not there until it is whole. Blank lines are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fleetgen.errors import FleetgenError, UsageError
from fleetgen.logbook.index import LevelFilter, LevelIndex
from fleetgen.logbook.lines import LEVELS, LogLine, normalised, parse, spelled
from fleetgen.logbook.stream import FileShrank, Place, ProcessLog, opened, process_names

DEFAULT_LIMIT = 100
GREATEST_LIMIT = 1000

_ATTEMPTS = 10
_DISORDER = timedelta(seconds=1)
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([0-9a-f]{1,16})\.([0-9a-f]{1,16})\.(\d{20})", re.ASCII)


class LogsUnreadable(FleetgenError):
    """The log files were cut short again and again while they were read: try again."""


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, newest first, and where to go on. A cursor is `since` for the lines above it and `before` for those below."""

    lines: list[LogLine]
    next_since: str | None
    """Gives what comes later; what was given as `since` where nothing has come; None without any line."""
    next_before: str | None
    """Gives the older lines of the same question; None if there are none."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: an instant or, for each process that has lines below, the newest of them."""

    text: str
    timestamp: str
    places: dict[str, Place] | None = None

    def edge(self, log: ProcessLog, allowance: timedelta) -> int:
        """Return the start of a process's first line above, for an instant shifted by the allowance."""
        if self.places is None:
            return log.first_after(_shifted(self.timestamp, allowance))
        return log.above(self.places[log.process]) if log.process in self.places else 0


class LogFiles:
    """The log files of a folder, ``<process>.jsonl`` and the rotated ``<process>.jsonl.1`` (newest) and so on."""

    def __init__(self, folder: Path, processes: Collection[str] | None = None) -> None:
        self._folder = folder
        self._processes = processes
        self._index = LevelIndex()

    def processes(self) -> list[str]:
        """Return the names of the processes that have logs in the folder."""
        return sorted(process_names(self._folder))

    def newest(
        self,
        limit: int = DEFAULT_LIMIT,
        since: str | None = None,
        before: str | None = None,
        levels: Collection[str] | None = None,
    ) -> Page:
        """Return the newest lines above ``since`` and below ``before``, both exclusive, of these levels.

        Each bound is an RFC 3339 timestamp with a zone, or a cursor of an earlier page. The cost depends on the limit,
        not on the size of the logs; for rare levels, once `extend_index` has covered them. Raises UsageError, which
        says what is allowed, for a bad value.
        """
        query = _Query.of(limit, since, before, levels)
        for _ in range(_ATTEMPTS):
            with suppress(FileShrank), self._logs() as logs:
                return _page([_Descent(log, query) for log in logs], query)
        raise LogsUnreadable

    def extend_index(self, budget_bytes: int = 64 << 20) -> bool:
        """Read some more of the logs for the index of levels; return whether it covers all of them.

        It is for a thread of its own; answers are right without it. It takes a byte for every 16 KiB of logs.
        """
        with opened(self._folder, self._processes) as processes:
            files = [file for ordered in processes.values() for file in reversed(ordered)]
            return self._index.extend([(file.inode, file.descriptor, file.size) for file in files], budget_bytes)

    @contextmanager
    def _logs(self) -> Iterator[list[ProcessLog]]:
        with opened(self._folder, self._processes) as processes:
            yield [ProcessLog(name, files, self._index) for name, files in processes.items()]


@dataclass(frozen=True, slots=True)
class _Query:
    limit: int
    since: Cursor | None
    before: Cursor | None
    sought: LevelFilter | None

    @classmethod
    def of(cls, limit: int, since: str | None, before: str | None, levels: Collection[str] | None) -> _Query:
        if not 1 <= limit <= GREATEST_LIMIT:
            raise UsageError(f"limit is {limit}; allowed are 1 to {GREATEST_LIMIT}.")
        return cls(limit, _cursor("since", since), _cursor("before", before), _filter(levels))

    def is_above_since(self, timestamp: str) -> bool:
        return self.since is None or self.since.places is not None or timestamp > self.since.timestamp

    def is_below_before(self, timestamp: str) -> bool:
        return self.before is None or self.before.places is not None or timestamp < self.before.timestamp


class _Descent:
    """The way down through one process's lines."""

    def __init__(self, log: ProcessLog, query: _Query) -> None:
        self.log = log
        self._query = query
        low = 0 if query.since is None else query.since.edge(log, -_DISORDER)
        high = log.end if query.before is None else query.before.edge(log, _DISORDER)
        top = next(self._timed(0, high, None), None)
        self.top = None if top is None else top[:2]
        """Start and time of the newest line below `before`, whatever its level."""
        self.is_news = self.top is not None and self.top[0] >= low and query.is_above_since(self.top[1])
        self.wanted = self._lines(low, high)
        """The lines that the query wants, newest first, with where they start."""

    def _lines(self, low: int, high: int) -> Iterator[tuple[int, LogLine]]:
        sought = self._query.sought
        for start, timestamp, raw in self._timed(low, high, sought):
            if self._query.is_above_since(timestamp):
                line = parse(raw, self.log.process, timestamp)
                if sought is None or line.level in sought.levels:
                    yield start, line

    def _timed(self, low: int, high: int, sought: LevelFilter | None) -> Iterator[tuple[int, str, bytes]]:
        for start, raw in self.log.lines_down(low, high, sought):
            timestamp = self.log.time_at(start, raw)
            if self._query.is_below_before(timestamp):
                yield start, timestamp, raw


def and_worse(level: str) -> list[str]:
    """Return a level and those that are worse."""
    return list(LEVELS[LEVELS.index(level) :])


def _page(descents: list[_Descent], query: _Query) -> Page:
    tops = [(descent.log, descent.top) for descent in descents if descent.top is not None]
    is_news = any(descent.is_news for descent in descents)
    unchanged = None if query.since is None else query.since.text
    next_since = _cursor_text(max(timestamp for _, (_, timestamp) in tops), tops) if is_news else unchanged
    lines, below = _merged(descents, query.limit)
    return Page(lines, next_since, _cursor_text(lines[-1].timestamp, below) if below else None)


def _merged(descents: list[_Descent], limit: int) -> tuple[list[LogLine], list[tuple[ProcessLog, tuple[int, str]]]]:
    # The newest lines of all, and of each process the one below them.
    heads = {descent: head for descent in descents if (head := next(descent.wanted, None))}
    lines: list[LogLine] = []
    while heads and len(lines) < limit:
        newest = max(heads, key=lambda each: (heads[each][1].timestamp, each.log.process))
        lines.append(heads.pop(newest)[1])
        if below := next(newest.wanted, None):
            heads[newest] = below
    return lines, [(descent.log, (start, line.timestamp)) for descent, (start, line) in heads.items()]


def _cursor_text(timestamp: str, newest_below: list[tuple[ProcessLog, tuple[int, str]]]) -> str:
    tokens = []
    for log, (start, at) in newest_below:
        place = log.place_of(start, at)
        tokens.append(f"{log.process}.{place.inode:x}.{place.offset:x}.{re.sub('[^0-9]', '', at)}")
    return "~".join([timestamp, *tokens])


def _cursor(name: str, text: str | None) -> Cursor | None:
    if text is None:
        return None
    instant, *tokens = text.split("~")
    try:
        timestamp = normalised(instant)
    except ValueError as fault:
        raise _bad_cursor(name, text) from fault
    return Cursor(text, timestamp, _places(name, text, tokens) if tokens else None)


def _places(name: str, text: str, tokens: list[str]) -> dict[str, Place]:
    places = {}
    for token in tokens:
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise _bad_cursor(name, text)
        process, inode, offset, digits = match.groups()
        places[process] = Place(int(inode, 16), int(offset, 16), _timestamp(digits))
    return places


def _timestamp(digits: str) -> str:
    date, time = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}", f"{digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
    return f"{date}T{time}.{digits[14:]}Z"


def _bad_cursor(name: str, text: str) -> UsageError:
    return UsageError(
        f"{name} is {text[:200]!r}; allowed are a timestamp with a zone, such as 2026-01-31T12:00:00Z "
        f"(in a URL the + of an offset is %2B), and what an earlier answer gave as nextSince or nextBefore."
    )


def _filter(levels: Collection[str] | None) -> LevelFilter | None:
    if levels is None:
        return None
    chosen = frozenset(level.lower() for level in levels)
    if not chosen or chosen - set(LEVELS):
        unknown = ", ".join(sorted(chosen - set(LEVELS))) or "empty"
        raise UsageError(f"level is {unknown[:200]}; allowed are {', '.join(LEVELS)}.")
    return LevelFilter(chosen)


def _shifted(timestamp: str, by: timedelta) -> str:
    try:
        return spelled(datetime.fromisoformat(timestamp) + by)
    except (OverflowError, ValueError):
        return timestamp
