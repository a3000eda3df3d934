"""Owns the truth about a batch: its lines with what was injected into each, made again from segment and ledger.

Nothing is read from `raw/` or `truth/`, so a batch that was pruned or deleted has its truth as well. It comes block by
block: a duplicate copies a line of its own block, so each block can be judged by itself, in bounded memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fleetgen.domain.encoding import TRUCKS_PER_COMPANY
from fleetgen.domain.records import Segment, Stream
from fleetgen.errors import DifferenceFound, ManifestError
from fleetgen.generation import checking
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.hashing import BatchHash
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest
from fleetgen.storage.reading import parse_json

_ID_KEYS = {Stream.COMPANIES: b'{"company_id":"', Stream.EVENTS: b'{"event_id":"'}
_TRUCK_KEY = b'"truck_id":"'
_COMPANY_BATCHES = 2048
"""Batches of companies whose truth is kept for the events of their companies; a byte for each company in them."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What was injected into a line."""

    kind: str
    """One of `ISSUE_TYPES`."""
    field: str | None
    """None for a duplicate, which concerns the whole record."""
    record_id: str
    """The id that the record had before."""
    copies: int | None
    """The line that a duplicate copies."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of a batch, as they were published, with their truth."""

    first_line: int
    """Its number in the batch, from 1."""
    lines: Sequence[bytes]
    issues: Mapping[int, Issue]
    """By the number of the line in the batch."""

    @property
    def numbers(self) -> range:
        """The numbers of the lines in the batch."""
        return range(self.first_line, self.first_line + len(self.lines))

    def line(self, number: int) -> bytes:
        """Return a line by its number in the batch."""
        return self.lines[number - self.first_line]


def blocks_of(dataset: Dataset, manifest: Manifest, stream: Stream, entry: BatchEntry) -> Iterator[Block]:
    """Yield a batch's blocks; raise DifferenceFound if what was made is not what the ledger recorded."""
    _, batch = checking.remake(dataset, manifest, stream, entry)
    hashed = BatchHash(entry.schema_version)
    first = 1
    for part in batch.parts():
        for piece in batch.pieces(part):
            hashed.update(piece.lines)
            lines = bytes(piece.lines).split(b"\n")[:-1]
            yield Block(first, lines, _issues(piece.truth))
            first += len(lines)
        hashed.end_part()
    if hashed.hexdigest() != entry.sha256:
        raise DifferenceFound(
            f"{stream} {entry.batch_id} does not follow from its segment, so its truth is not known: see "
            "`fleetgen verify --all`."
        )


def _issues(truth: bytes) -> dict[int, Issue]:
    issues = {}
    for line in truth.splitlines():
        told = parse_json(line, "the truth")
        copies = told["injected"] if told["issue_type"] == "duplicate" else None
        issues[told["line"]] = Issue(told["issue_type"], told["field"], told["record_id"], copies)
    return issues


def shown_id(stream: Stream, line: bytes) -> str | None:
    """Return the id that a published line shows; None where it was left out or is null."""
    key = _ID_KEYS[stream]
    return line[len(key) : line.index(b'"', len(key))].decode() if line.startswith(key) else None


class DirtyCompanies:
    """Knows by number which companies' own records got an issue, whichever batch they are in."""

    def __init__(self, dataset: Dataset, manifest: Manifest) -> None:
        self._dataset, self._manifest = dataset, manifest
        self._segments = dataset.segments(manifest)
        self._marks = lru_cache(_COMPANY_BATCHES)(self._marks_of)

    def collateral(self, stream: Stream, block: Block) -> Callable[[int], bool]:
        """Return what tells of a line without an issue whether its company's own record has one."""
        if stream is Stream.COMPANIES:
            return lambda line: False
        return lambda line: self.sent(block.line(line))

    def sent(self, event: bytes) -> bool:
        """Whether a published event, whose truck must be in it, is one of such a company."""
        start = event.index(_TRUCK_KEY) + len(_TRUCK_KEY)
        truck = event[start : event.index(b'"', start)]
        return self._is_dirty(int(truck.rpartition(b"-")[2]) // TRUCKS_PER_COMPANY)

    def _is_dirty(self, company: int) -> bool:
        segment = self._segment_of(company)
        batches, place = divmod(company - segment.first_company, segment.settings.companies_per_batch)
        return bool(self._marks(segment.first_company_batch + batches)[place])

    def _segment_of(self, company: int) -> Segment:
        return next(segment for segment in reversed(self._segments) if segment.first_company <= company)

    def _marks_of(self, batch_number: int) -> bytes:
        """Return for each company of a batch whether it got an issue."""
        entry = next(iter(self._dataset.ledgers[Stream.COMPANIES].batches_from(batch_number, 1)), None)
        if entry is None or entry.batch_number != batch_number:
            raise ManifestError(f"The ledger of companies lacks batch {batch_number}: see `fleetgen verify --all`.")
        marks = bytearray(entry.record_count)
        for block in blocks_of(self._dataset, self._manifest, Stream.COMPANIES, entry):
            for line in block.issues:
                marks[line - 1] = 1
        return bytes(marks)
