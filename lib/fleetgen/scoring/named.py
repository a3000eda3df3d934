"""Owns the set of records that a pipeline named, as rejected or as accepted: it is read once and asked block by block.

A line takes nine bytes of memory, an id about two hundred.
"""

from array import array
from collections import Counter
from dataclasses import dataclass, field

from fleetgen.domain.records import ISSUE_TYPES, Stream
from fleetgen.scoring.keys import Key
from fleetgen.scoring.truth import Block, shown_id
from fleetgen.scoring.verdict import Rejected

_NO_KIND = len(ISSUE_TYPES)
_KINDS: tuple[str | None, ...] = (*ISSUE_TYPES, None)


@dataclass(slots=True)
class _Batch:
    """The lines that were named of one batch."""

    place: str
    """Where the first of them was named."""
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    kinds: "array[int]" = field(default_factory=lambda: array("b"))


class Named:
    """What a pipeline named: what it rejected, or, with ``accepted``, what it accepted."""

    def __init__(self, accepted: bool = False) -> None:
        self.accepted = accepted
        self.batches: dict[Stream, dict[str, _Batch]] = {stream: {} for stream in Stream}
        self.without_id = 0
        """Rows whose record has no id, so that nobody can tell which one it is."""
        self.met: Counter[Stream] = Counter()
        """How many lines of each stream were found to be named."""
        self._ids: Counter[str] = Counter()
        self._kinds: dict[str, str] = {}
        self._met_ids: set[str] = set()

    def add(self, key: Key | None, place: str) -> None:
        """Take in one row; ``place`` says where it stands, for messages."""
        if key is None:
            self.without_id += 1
        elif key.stream is not None and key.batch_id is not None and key.line is not None:
            batch = self.batches[key.stream].setdefault(key.batch_id, _Batch(place))
            batch.lines.append(key.line)
            batch.kinds.append(_KINDS.index(key.kind))
        elif key.record_id is not None:
            self._ids[key.record_id] += 1
            if key.kind is not None:
                self._kinds[key.record_id] = key.kind

    @property
    def not_met(self) -> int:
        """How many ids were named that no line showed so far."""
        return len(self._ids) - len(self._met_ids)

    def knows_by_id(self, stream: Stream) -> bool:
        """Whether records of a stream are named by id alone, so that those without an id cannot be named."""
        return bool(self._ids or self.without_id) and not self.batches[stream]

    def of_batch(self, stream: Stream, batch_id: str) -> dict[int, str | None]:
        """Return the lines of a batch that were named by their number."""
        batch = self.batches[stream].get(batch_id)
        if batch is None:
            return {}
        return {line: _KINDS[kind] for line, kind in zip(batch.lines, batch.kinds, strict=True)}

    def rejected(self, stream: Stream, block: Block, by_number: Rejected) -> tuple[Rejected, set[int]]:
        """Return the block's rejected lines, and those of which nobody can tell whether they are."""
        named = {line: by_number[line] for line in block.numbers if line in by_number}
        ids = {line: shown_id(stream, block.line(line)) for line in block.numbers} if self._ids else {}
        self._add_by_id(named, ids)
        self.met[stream] += len(named)
        unknowable: set[int] = set()
        if self.knows_by_id(stream):
            unknowable = {line for line in block.issues if shown_id(stream, block.line(line)) is None}
        if self.accepted:
            return {line: None for line in block.numbers if line not in named and line not in unknowable}, unknowable
        return named, unknowable

    def _add_by_id(self, named: dict[int, str | None], ids: dict[int, str | None]) -> None:
        """Add the lines that were named by their id; of equal lines as many as the id was named times."""
        left: dict[str, int] = {}
        for line, record_id in ids.items():
            if record_id is None or record_id not in self._ids:
                continue
            self._met_ids.add(record_id)
            if line in named:
                continue
            times = left.get(record_id, self._ids[record_id])
            left[record_id] = times - 1
            if times > 0:
                named[line] = self._kinds.get(record_id)
