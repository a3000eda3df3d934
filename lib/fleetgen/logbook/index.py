"""Owns where in the log files which levels occur: a byte for every 16 KiB, so that rare levels are found without reading.

It may name a block too many, never one too few: whoever reads a block looks at its lines.
"""

import os
import re
from threading import Lock

from fleetgen.logbook.lines import DEFAULT_LEVEL, LEVELS

BLOCK_BYTES = 16 * 1024

_READ_BYTES = 1 << 20
_HEAD_BYTES = 64
_BITS = {level: 1 << place for place, level in enumerate(LEVELS)}
_UNUSUAL = [level for level in LEVELS if level != DEFAULT_LEVEL]


def _marks(levels: list[str]) -> re.Pattern[bytes]:
    # The key is spelled exactly, so that the search runs at the speed of a plain one.
    return re.compile(rb'"level"\s*:\s*"((?i:%s))"' % "|".join(levels).encode())


_UNUSUAL_MARKS = _marks(_UNUSUAL)


class LevelFilter:
    """Which levels are looked for."""

    def __init__(self, levels: frozenset[str]) -> None:
        self.levels = levels
        self.bits = sum(_BITS[level] for level in levels)
        # Lines that name no level are of the usual one, so that every line has to be looked at for it.
        self._marks = None if DEFAULT_LEVEL in levels else _marks(sorted(levels))

    def may_have(self, content: bytes) -> bool:
        """Return whether a line of these levels can be among these."""
        return self._marks is None or self._marks.search(content) is not None


class FileLevels:
    """The levels of the lines that start in each block of one file."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        """The file's first bytes, to tell it from a later one with the same inode."""
        self.covered = 0
        """Lines that start before this place are covered. It is the start of a line."""
        self._blocks = bytearray()

    def extend(self, descriptor: int, size: int, budget: int) -> int:
        """Cover whole lines that follow, about ``budget`` bytes; return how many. None is left if it is 0."""
        wanted = min(budget, _READ_BYTES)
        while self.covered < size and wanted > 0:
            content = os.pread(descriptor, min(wanted, size - self.covered), self.covered)
            if end := content.rfind(b"\n") + 1:
                self._note(content[:end])
                return end
            if len(content) < wanted:
                return 0  # an unfinished line
            wanted *= 2
        return 0

    def bottom_of_gap(self, place: int, bits: int) -> int:
        """Return the least place from which on, up to the start of a line, no line of these levels starts."""
        block = min((place - 1) // BLOCK_BYTES, len(self._blocks) - 1)
        while block >= 0 and not self._blocks[block] & bits:
            block -= 1
        return min(place, (block + 1) * BLOCK_BYTES)

    def _note(self, content: bytes) -> None:
        start, covered = 0, self.covered
        while start < len(content):
            block = (covered + start) // BLOCK_BYTES
            boundary = (block + 1) * BLOCK_BYTES - covered
            stop = content.find(b"\n", boundary - 1) + 1 if boundary <= len(content) else len(content)
            self._blocks.extend(bytes(block + 1 - len(self._blocks)))
            self._blocks[block] |= _bits_of(content[start:stop])
            start = stop
        self.covered = covered + len(content)  # last, for readers in other threads


class LevelIndex:
    """The levels of all files, by inode. One thread may extend it while others read."""

    def __init__(self) -> None:
        self._files: dict[int, FileLevels] = {}
        self._extending = Lock()

    def of(self, inode: int, descriptor: int, size: int) -> FileLevels | None:
        """Return what is known of an open file, or None."""
        known = self._files.get(inode)
        if known is None or known.covered > size:
            return None
        return known if os.pread(descriptor, len(known.head), 0) == known.head else None

    def extend(self, files: list[tuple[int, int, int]], budget: int) -> bool:
        """Cover about ``budget`` more bytes of files (inode, descriptor, size); return whether all are covered."""
        with self._extending:
            self._forget_all_but({inode for inode, _, _ in files})
            for file in files:
                known = self.of(*file) or self._begin(*file)
                while budget > 0 and (covered := known.extend(*file[1:], budget)):
                    budget -= covered
                if budget <= 0:
                    return False
            return True

    def _begin(self, inode: int, descriptor: int, size: int) -> FileLevels:
        self._files[inode] = FileLevels(os.pread(descriptor, min(size, _HEAD_BYTES), 0))
        return self._files[inode]

    def _forget_all_but(self, inodes: set[int]) -> None:
        for inode in set(self._files) - inodes:
            del self._files[inode]


def _bits_of(lines: bytes) -> int:
    found = {mark.decode().lower() for mark in _UNUSUAL_MARKS.findall(lines)}
    return _BITS[DEFAULT_LEVEL] | sum(_BITS[level] for level in found)
