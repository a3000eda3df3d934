"""Owns how much of the machine the work on batches takes: memory, threads, and lines at once, within what there is."""

from dataclasses import dataclass
from pathlib import Path

from fleetgen.machine import memory_bytes, processors

MEGABYTE = 1_000_000

_MOST_MEMORY = 300 * MEGABYTE
_LEAST_MEMORY = 64 * MEGABYTE
_SET_BYTES = 500 * MEGABYTE
"""What the rest of a set takes: four processes and supervisord, with the libraries that they load."""

_MOST_THREADS = 4
_THREAD_BYTES = 125 * MEGABYTE
"""So much memory DuckDB wants for each thread."""

_LINE_BYTES = 2000
"""So much memory a line takes on its way through all tables."""

_BYTES_SHARE = 7
"""A pass takes so many times the bytes of its batches, whose lines may be longer than fleetgen's own."""

_MOST_LINES = 150_000
_LEAST_LINES = 2000


@dataclass(frozen=True, slots=True)
class Budget:
    """What the engine may take."""

    memory: int
    """Bytes for DuckDB; what exceeds them goes to the disk."""
    threads: int
    lines: int
    """So many lines are carried at once; a larger batch by itself, in pieces of as many."""

    @property
    def bytes(self) -> int:
        """So many bytes of several batches are carried at once."""
        return self.memory // _BYTES_SHARE

    def settings(self, spill: Path) -> dict[str, str | bool | int | float | list[str]]:
        """Return DuckDB's settings; ``spill`` is the folder for what exceeds the memory."""
        return {
            "memory_limit": f"{self.memory // MEGABYTE}MB",
            "threads": self.threads,
            "temp_directory": str(spill),
        }


def carrying(memory: int | None = None) -> Budget:
    """Return the budget for carrying batches: of so many bytes, or of what the limits of this machine leave."""
    if memory is None:
        memory = min(_MOST_MEMORY, max(_LEAST_MEMORY, memory_bytes() - _SET_BYTES))
    threads = max(1, min(processors(), _MOST_THREADS, memory // _THREAD_BYTES))
    return Budget(memory, threads, max(_LEAST_LINES, min(_MOST_LINES, memory // _LINE_BYTES)))


def asking(limit: int | None = None) -> Budget:
    """Return the budget of a query by hand: what a set that runs beside it leaves, and at most 4/5 of all there is."""
    limit = memory_bytes() if limit is None else limit
    memory = max(_LEAST_MEMORY, min(limit * 4 // 5, limit - _SET_BYTES - carrying().memory))
    return Budget(memory, processors(), _MOST_LINES)
