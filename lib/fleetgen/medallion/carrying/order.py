"""Owns in which pieces batches are carried: consecutive, from where the tables end, as many at once as fit into memory."""

from collections.abc import Iterator, Sequence

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.storage.ledger import BatchEntry

PASS_BATCHES = 1000
"""So many batches are carried at once, as far as there is memory for their lines."""


def missing(stream: Stream, entries: Sequence[BatchEntry], first: int) -> list[BatchEntry]:
    """Return the batches from this number on, all of which must follow each other."""
    found = [entry for entry in entries if entry.batch_number >= first]
    numbers = [entry.batch_number for entry in found]
    if numbers != list(range(first, first + len(found))):
        raise FleetgenError(f"The tables of {stream} go on at batch {first}; they were given {numbers[:3]} ….")
    return found


def passes(
    entries: Sequence[BatchEntry], most_lines: int, most_bytes: float = float("inf")
) -> Iterator[list[BatchEntry]]:
    """Divide batches into runs of at most so many lines and bytes; a larger batch is one by itself."""
    run: list[BatchEntry] = []
    lines = size = 0
    for entry in entries:
        lines, size = lines + entry.record_count, size + entry.bytes
        if run and (lines > most_lines or size > most_bytes or len(run) == PASS_BATCHES):
            yield run
            run, lines, size = [], entry.record_count, entry.bytes
        run.append(entry)
    if run:
        yield run
