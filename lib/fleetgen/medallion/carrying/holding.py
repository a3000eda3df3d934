"""Owns what a damaged batch holds up: its own stream alone, tried again ever more slowly until it is repaired."""

from fleetgen.domain.records import SECOND, Stream
from fleetgen.medallion.lines import DamagedBatch

_FIRST_WAIT = SECOND
_LONGEST_WAIT = 30 * SECOND


class Holding:
    """The streams with a damaged batch."""

    def __init__(self) -> None:
        self._waits: dict[Stream, tuple[int, int]] = {}
        """When to try again, and how long the wait is."""
        self.damage: DamagedBatch | None = None
        """The newest damage that is not repaired."""

    def holds(self, stream: Stream, now: int) -> bool:
        """Whether it is too early to try a stream again; a clock that is set back ends the wait."""
        return now < self._waits.get(stream, (0, 0))[0] <= now + _LONGEST_WAIT

    def begins(self, stream: Stream, damage: DamagedBatch, now: int) -> int:
        """Note that a stream cannot go on; return for how many microseconds it is left alone."""
        self.damage = damage
        wait = min(2 * self._waits.get(stream, (0, _FIRST_WAIT // 2))[1], _LONGEST_WAIT)
        self._waits[stream] = now + wait, wait
        return wait

    def is_over(self, stream: Stream) -> None:
        """Note that a stream goes on."""
        self._waits.pop(stream, None)
        if not self._waits:
            self.damage = None
