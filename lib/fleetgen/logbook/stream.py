"""Owns finding lines in one process's log: its rotated files as one run of bytes, read from the end or from an instant.

supervisord rotates between two writes, not between two lines, so a line may begin in one file and end in the next.
What the lines say is left to `log_lines`, merging processes to `log_files`.
"""

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from fleetgen.logbook.index import BLOCK_BYTES, FileLevels, LevelFilter, LevelIndex
from fleetgen.logbook.lines import time_of

NO_TIME = "1970-01-01T00:00:00.000000Z"
"""The time of lines in a log without any."""

_FILE_NAME = re.compile(r"(?P<process>[A-Za-z0-9_-]+)\.jsonl(?:\.(?P<number>[1-9]\d{0,3}))?", re.ASCII)
_SMALL_READ = 4096
_FIRST_READ = 16 * 1024
_GREATEST_READ = 1 << 20


class FileShrank(Exception):
    """A file became shorter while it was read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line, so that it is found again after rotation: the file and place where it starts, and its time."""

    inode: int
    offset: int
    timestamp: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One file, and how long it was when it was opened."""

    descriptor: int
    inode: int
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes; raise FileShrank if there are fewer."""
        content = os.pread(self.descriptor, stop - start, start)
        while len(content) < stop - start:  # one call returns no more than 2 GiB
            more = os.pread(self.descriptor, stop - start - len(content), start + len(content))
            if not more:
                raise FileShrank
            content += more
        return content


class ProcessLog:
    """The whole lines of one process as they were at one instant. Offsets count over all files, from the oldest."""

    def __init__(self, process: str, files: list[OpenFile], index: LevelIndex) -> None:
        self.process = process
        self._files = files
        self._index = index
        *self._starts, self._size = accumulate((file.size for file in files), initial=0)
        self._known: dict[int, FileLevels | None] = {}
        self._untimed = (0, 0, NO_TIME)
        self.end = self._end()

    def lines_down(self, low: int, high: int, sought: LevelFilter | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that start in ``[low, high)``, both starts of lines, newest first, with where they start.

        With a filter, lines that cannot be of its levels are left out; one that is left in need not be.
        """
        size = _FIRST_READ
        while high > low:
            if sought is not None and self._levels_below(high) is not None:
                high, size = max(low, self._below_gap(high, sought)), BLOCK_BYTES
            if high > low:
                high, content = self._span(low, high, size)
                if sought is None or sought.may_have(content):
                    yield from _lines(high, content, sought)
            size = min(2 * size, _GREATEST_READ)

    def first_after(self, timestamp: str) -> int:
        """Return the start of the first line whose time is later, or the end: found from the end by leaps, then halves.

        Where the clock was set back, that is one of the places where the times pass the instant, mostly the last.
        """
        low, high, answer, leap = self.end, self.end, self.end, _FIRST_READ
        while high > 0:
            low = max(0, high - leap)
            found = self._first_timed(low, high)
            if found is not None and found[1] <= timestamp:
                return self._first_after_within(found[0] + 1, high, answer, timestamp)
            answer = answer if found is None else found[0]
            high, leap = low, 2 * leap
        return answer

    def time_at(self, start: int, raw: bytes) -> str:
        """Return a line's time: its own, else that of the nearest line before that has one, else after."""
        own = time_of(raw)
        if own is not None:
            return own
        nearest, asked, timestamp = self._untimed
        if not nearest < start <= asked:
            nearest, timestamp = self._time_near(start)
            self._untimed = (nearest, start, timestamp)
        return timestamp

    def place_of(self, start: int, timestamp: str) -> Place:
        """Return how the line that starts here is found again."""
        number = bisect_right(self._starts, start) - 1
        return Place(self._files[number].inode, start - self._starts[number], timestamp)

    def above(self, place: Place) -> int:
        """Return where the line after a known one starts; if that is gone, the first line of a later time."""
        for file, first in zip(self._files, self._starts, strict=True):
            start = first + place.offset
            if file.inode == place.inode and place.offset < file.size and self._is_line(start, place.timestamp):
                return self._line_start(start + 1)
        return self.first_after(place.timestamp)

    def _is_line(self, start: int, timestamp: str) -> bool:
        if start >= self.end or self._line_start(start) != start:
            return False
        raw = self.read(start, self._line_start(start + 1))
        return time_of(raw) in (None, timestamp)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes of one file or of several."""
        parts = []
        for number in range(bisect_right(self._starts, start) - 1, len(self._files)):
            file, first = self._files[number], self._starts[number]
            if first >= stop:
                break
            parts.append(file.read(max(0, start - first), min(file.size, stop - first)))
        return b"".join(parts)

    def _end(self) -> int:
        stop, size = self._size, _SMALL_READ
        while stop > 0:
            start = max(0, stop - size)
            if end := self.read(start, stop).rfind(b"\n") + 1:
                return start + end
            stop, size = start, min(2 * size, _GREATEST_READ)
        return 0

    def _span(self, low: int, high: int, size: int) -> tuple[int, bytes]:
        # The whole lines of the last bytes before a place, at least one; twice as many until there is one.
        while True:
            start = max(low, high - size)
            content = self.read(start, high)
            cut = 0 if start == low else content.find(b"\n", 0, -1) + 1
            if cut or start == low:
                return start + cut, content[cut:]
            size *= 2

    def _line_start(self, place: int) -> int:
        # The first start of a line at a place or after it.
        if place == 0:
            return 0
        position, size = place - 1, _SMALL_READ
        while position < self.end:
            content = self.read(position, min(self.end, position + size))
            if after := content.find(b"\n") + 1:
                return position + after
            position, size = position + len(content), min(2 * size, _GREATEST_READ)
        return self.end

    def _first_timed(self, low: int, high: int) -> tuple[int, str] | None:
        position, size = self._line_start(low), _SMALL_READ
        while position < high:
            content = self.read(position, min(self.end, position + size))
            whole = content[: content.rfind(b"\n") + 1]
            for raw in whole.split(b"\n")[:-1]:
                if position < high and (timestamp := time_of(raw)):
                    return position, timestamp
                position += len(raw) + 1
            size *= 2
        return None

    def _first_after_within(self, low: int, high: int, answer: int, timestamp: str) -> int:
        while low < high:
            middle = (low + high) // 2
            found = self._first_timed(middle, high)
            if found is not None and found[1] <= timestamp:
                low = found[0] + 1
            else:
                high, answer = middle, answer if found is None else found[0]
        return answer

    def _time_near(self, start: int) -> tuple[int, str]:
        for before, raw in self.lines_down(0, start):
            if timestamp := time_of(raw):
                return before, timestamp
        found = self._first_timed(start, self.end)
        return -1, NO_TIME if found is None else found[1]

    def _levels_below(self, place: int) -> FileLevels | None:
        number = bisect_right(self._starts, place - 1) - 1
        if number not in self._known:
            file = self._files[number]
            self._known[number] = self._index.of(file.inode, file.descriptor, file.size)
        levels = self._known[number]
        return levels if levels is not None and place - self._starts[number] <= levels.covered else None

    def _below_gap(self, high: int, sought: LevelFilter) -> int:
        while high > 0 and (levels := self._levels_below(high)) is not None:
            first = self._starts[bisect_right(self._starts, high - 1) - 1]
            bottom = first + levels.bottom_of_gap(high - first, sought.bits)
            lower = min(high, self._line_start(bottom))
            if lower == high:
                break
            high = lower
        return high


def process_names(folder: Path) -> dict[str, int]:
    """Return the processes that have logs in a folder, each with the greatest number of its rotated files."""
    greatest: dict[str, int] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):  # noqa: PTH208 -- names are all that is wanted
            if match := _FILE_NAME.fullmatch(name):
                greatest[match["process"]] = max(greatest.get(match["process"], 0), int(match["number"] or 0))
    return greatest


@contextmanager
def opened(folder: Path, processes: Collection[str] | None) -> Iterator[dict[str, list[OpenFile]]]:
    """Open the log files of all processes, or of these: each process's in order, the oldest first."""
    with ExitStack() as stack:
        yield {
            process: _open_all(stack, folder / f"{process}.jsonl", greatest)
            for process, greatest in sorted(process_names(folder).items())
            if processes is None or process in processes
        }


def _open_all(stack: ExitStack, newest: Path, greatest: int) -> list[OpenFile]:
    # Numbers only grow, and these are tried upwards: a file that is rotated meanwhile is met twice rather than missed.
    files: dict[int, OpenFile] = {}
    number = missing = 0
    while number <= greatest or missing < 2:  # there is a gap of one while supervisord rotates
        path = newest if number == 0 else newest.with_name(f"{newest.name}.{number}")
        file = _open(stack, path)
        missing = 0 if file else missing + 1
        number += 1
        if file and file.inode == next(iter(files), None):
            files = {file.inode: files[file.inode]}  # what was met since may be newer; all that is older is yet to come
        elif file:
            files.setdefault(file.inode, file)
    return list(reversed(files.values()))


def _open(stack: ExitStack, path: Path) -> OpenFile | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    stack.callback(os.close, descriptor)
    found = os.fstat(descriptor)
    return OpenFile(descriptor, found.st_ino, found.st_size) if stat.S_ISREG(found.st_mode) else None


def _lines(start: int, content: bytes, sought: LevelFilter | None) -> Iterator[tuple[int, bytes]]:
    position = start + len(content)
    for raw in reversed(content[:-1].split(b"\n")):
        position -= len(raw) + 1
        if raw and not raw.isspace() and (sought is None or sought.may_have(raw)):
            yield position, raw
