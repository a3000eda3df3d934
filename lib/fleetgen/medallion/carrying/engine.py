"""Owns what an engine is to those who carry batches with it: the tables of one dataset, open for writing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fleetgen.domain.records import Stream
from fleetgen.storage.ledger import BatchEntry


@dataclass
class Carried:
    """What became of the batches that were carried."""

    batches: int = 0
    lines: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Lines by outcome: ``accepted``, ``quarantined``, ``duplicate``."""
    rules: Counter[str] = field(default_factory=Counter)
    """Rejected lines by rule."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows written, by table."""
    silver_to_gold_seconds: float = 0.0

    def count(self, rule: str | None, lines: int) -> None:
        """Count lines that a rule rejected; None accepted them."""
        self.lines += lines
        if rule is None:
            self.outcomes["accepted"] += lines
        else:
            self.rules[rule] += lines
            self.outcomes["duplicate" if rule == "duplicate" else "quarantined"] += lines


@dataclass
class Totals:
    """What has become of all lines in the tables of a dataset."""

    outcomes: dict[Stream, Counter[str]] = field(default_factory=lambda: {stream: Counter() for stream in Stream})
    """Lines of each stream by outcome."""
    rules: Counter[str] = field(default_factory=Counter)
    """Rejected lines of both streams by rule."""

    def add(self, stream: Stream, carried: Carried) -> None:
        """Count further batches of a stream."""
        self.outcomes[stream] += carried.outcomes
        self.rules += carried.rules


class Engine(Protocol):
    """Carries published batches into the tables. The order of batches and what is missing is `order`'s."""

    lines_at_once: int
    """So many lines are to be carried before they are acknowledged; a larger batch by itself."""

    def next_batch(self, stream: Stream) -> int:
        """Return the lowest batch number that some table of the stream lacks."""

    def carry(self, stream: Stream, entries: Sequence[BatchEntry]) -> Carried:
        """Carry consecutive batches from bronze into every table; those that all tables have are left out.

        Raises DamagedBatch, before anything of the pass is written, if bronze is not as it was published.
        """

    def maintain(self) -> bool:
        """Keep up one table if one is due; return whether one was. To be called between batches."""

    def totals(self) -> "Totals":
        """Return what has become of all lines in the tables."""

    def close(self) -> None:
        """Let go of threads and memory."""
