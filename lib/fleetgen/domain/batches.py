"""Owns the way from a batch's inputs to its bytes, block by block; the same for a live batch, a replay and a check.

Where the bytes go is left to the callers.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fleetgen.domain.companies import BLOCK_COMPANIES, active_fleet, company_block
from fleetgen.domain.corruption import Corrupted, corrupt_block
from fleetgen.domain.drivers import EventPlan, plan_events
from fleetgen.domain.encoding import CHUNK_ROWS, encode_companies, encode_events
from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import Interval, Segment, Settings, Stream
from fleetgen.domain.text import Bytes, Lines

PART_ROWS = 262_144
"""A batch with more lines has several parts, each ending with the first block that reaches this many."""


@dataclass(frozen=True, slots=True)
class BatchInputs:
    """All that a batch's bytes depend on."""

    stream: Stream
    number: int
    interval: Interval
    segment: Segment
    segments: tuple[Segment, ...]
    """The dataset's segments up to this one: the companies in reach follow from them."""
    company_count: int
    """Companies in reach of a batch of events; companies there are after a batch of companies."""

    @property
    def seed(self) -> int:
        """The batch's label; its draws are addressed by base seed and number."""
        return self.segment.settings.seed + self.number


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of a batch as they are published."""

    lines: memoryview
    truth: bytes = b""
    """A line of JSON for each issue in them."""
    issues: Counter[str] = field(default_factory=Counter)
    """How many records got each type of issue."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that can be made, block by block and in any order."""

    block_rows: tuple[int, ...]
    encode_block: Callable[[int, int], Iterator[Lines]]
    """Takes a block's number and the rows of a chunk; yields the block's clean lines, chunk by chunk."""
    corrupt_block: Callable[[int, int, Lines], Corrupted] | None = None
    """Takes a block's number, the number of its first line and its clean lines; None where nothing is injected."""

    @property
    def rows(self) -> int:
        """Lines in the batch."""
        return sum(self.block_rows)

    def parts(self) -> list[range]:
        """Return the blocks of each part; a batch of one part may have no blocks."""
        if self.rows <= PART_ROWS:
            return [range(len(self.block_rows))]
        parts: list[range] = []
        first = rows = 0
        for block, count in enumerate(self.block_rows):
            rows += count
            if rows >= PART_ROWS:
                parts.append(range(first, block + 1))
                first, rows = block + 1, 0
        if rows:
            parts.append(range(first, len(self.block_rows)))
        return parts

    def clean_lines(self, blocks: range | None = None, chunk_rows: int = CHUNK_ROWS) -> Iterator[Bytes]:
        """Yield the lines of some blocks, or of all, as they are before injection."""
        for block in range(len(self.block_rows)) if blocks is None else blocks:
            yield from (chunk.text for chunk in self.encode_block(block, chunk_rows))

    def pieces(self, blocks: range | None = None, chunk_rows: int = CHUNK_ROWS) -> Iterator[Piece]:
        """Yield the lines of some blocks, or of all, as they are published, with the truth about what was injected.

        Where issues are injected, a block is one chunk: a duplicate may copy any earlier line of its block.
        """
        if self.corrupt_block is None:
            yield from (Piece(chunk.data) for chunk in self.clean_lines(blocks, chunk_rows))
            return
        for block in range(len(self.block_rows)) if blocks is None else blocks:
            for clean in self.encode_block(block, self.block_rows[block]):
                corrupted = self.corrupt_block(block, 1 + sum(self.block_rows[:block]), clean)
                yield Piece(corrupted.lines, corrupted.truth, corrupted.issues)


def make_batch(inputs: BatchInputs) -> Batch:
    """Return the batch that follows from these inputs."""
    settings, address = inputs.segment.settings, address_of(inputs)
    if inputs.stream is Stream.COMPANIES:
        return company_batch(settings.companies_per_batch, address, settings, inputs.interval)
    fleet = active_fleet(inputs.segments, inputs.company_count, settings.max_active_companies)
    return event_batch(plan_events(address, settings, inputs.interval, fleet))


def encoded_batch(
    inputs: BatchInputs, block_rows: tuple[int, ...], encode: Callable[[int, int], Iterator[Lines]]
) -> Batch:
    """Return the batch that follows from these inputs where its clean lines are made elsewhere."""
    corrupt = _corrupter(inputs.stream, address_of(inputs), inputs.segment.settings, inputs.interval)
    return Batch(block_rows, encode, corrupt)


def address_of(inputs: BatchInputs) -> Address:
    """Return the address of a batch's first draws; it gives those of its others."""
    if inputs.stream is Stream.COMPANIES:
        return Address(inputs.segment.settings.seed, Origin.COMPANIES, inputs.number, Purpose.COMPANY_ID)
    return Address(inputs.segment.settings.seed, Origin.EVENTS, inputs.number, Purpose.EVENT_COUNT)


def company_batch(count: int, address: Address, settings: Settings, interval: Interval) -> Batch:
    """Return a batch of this many companies."""

    def encode(block: int, chunk_rows: int) -> Iterator[Lines]:
        columns = company_block(block, rows[block], address, settings, interval)
        return encode_companies(columns, interval, chunk_rows)

    rows = tuple(min(BLOCK_COMPANIES, count - first) for first in range(0, count, BLOCK_COMPANIES))
    return Batch(rows, encode, _corrupter(Stream.COMPANIES, address, settings, interval))


def event_batch(plan: EventPlan) -> Batch:
    """Return the batch that a plan describes."""

    def encode(block: int, chunk_rows: int) -> Iterator[Lines]:
        return encode_events(
            plan.block(block), plan.fleet, plan.settings.drivers_per_company, plan.interval, chunk_rows
        )

    rows = tuple(plan.block_counts.tolist())
    return Batch(rows, encode, _corrupter(Stream.EVENTS, plan.address, plan.settings, plan.interval))


def _corrupter(
    stream: Stream, address: Address, settings: Settings, interval: Interval
) -> Callable[[int, int, Lines], Corrupted] | None:
    quality = settings.quality
    if quality is None:
        return None

    def corrupt(block: int, first_line: int, lines: Lines) -> Corrupted:
        return corrupt_block(lines, first_line, stream, quality, interval, address, block)

    return corrupt
