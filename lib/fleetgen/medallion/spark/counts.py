"""Owns what the rows that executors hand over tell of a pass: how many there are of each table, and of lines by rule."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fleetgen.medallion.carrying.engine import Carried
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED


@dataclass
class Counts:
    """How many rows a pass gives."""

    rows: Counter[str] = field(default_factory=Counter)
    """By table."""
    lines: Counter[str | None] = field(default_factory=Counter)
    """By rule; None accepted them."""

    def add_to(self, carried: Carried) -> None:
        """Count a pass that is in the tables."""
        carried.rows += self.rows
        for rule, lines in self.lines.items():
            carried.count(rule, lines)


def counts(found: Iterable[tuple[str, str | None, str | None, int]]) -> Counts:
    """Add up (table, rule of `JUDGED`, words of `DAMAGED`, count, or the number of a damaged batch).

    Raises DamagedBatch for the first batch that is damaged.
    """
    added = Counts()
    damaged: list[tuple[int, str]] = []
    for table, rule, words, count in found:
        if table == DAMAGED:
            damaged.append((count, str(words)))
        elif table == JUDGED:
            added.lines[rule] += count
        else:
            added.rows[table] += count
    if damaged:
        number, words = min(damaged)
        raise DamagedBatch(words, number)
    return added
