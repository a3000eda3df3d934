"""Owns the way from the files of a published batch to raw lines, whatever bytes are in them, without losing one.

A line ends at a newline byte and nowhere else; the last one may lack it. Judging the lines is left to `rules`. Arrow is
loaded with the first lines that are split by columns: a pipeline that follows small batches does without.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.records import Interval, Stream
from fleetgen.errors import FleetgenError
from fleetgen.medallion.forms import COUNT, TEXT, TRUTH
from fleetgen.storage.bronze import part_name
from fleetgen.storage.hashing import BatchHash
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

if TYPE_CHECKING:
    import pyarrow as pa

LINES = {
    "batch_number": COUNT,
    "line": COUNT,
    "raw": TEXT,
    "valid_utf8": TRUTH,
    "size_bytes": COUNT,
    "interval_start": COUNT,
    "interval_end": COUNT,
}
"""The columns of lines, with their types: ``line`` counts from 1, instants are microseconds since the epoch."""

_NEWLINE = 10


class DamagedBatch(FleetgenError):
    """A published batch is not as it was published: `fleetgen verify --all --repair` publishes it again."""

    def __init__(self, message: str, batch_number: int) -> None:
        super().__init__(message)
        self.batch_number = batch_number


_BLOCK_BYTES = 1 << 20
"""So much of a file is read at once: as much as the processor's cache holds, and enough for threads to share a piece."""


class Block(NamedTuple):
    """Some whole lines of a batch."""

    content: bytes
    first_line: int
    batch_number: int
    interval: Interval


_NOTHING = Block(b"", 1, 0, Interval(0, 0))


def list_batches(
    layout: Layout, stream: Stream, entries: Sequence[BatchEntry], beat: Callable[[], None]
) -> dict[str, list[Any]]:
    """Return all lines of these batches, which are few: a list for each column of LINES.

    Raises DamagedBatch if one is not as its ledger line says.
    """
    return listed(block for entry in entries for block in _read(layout, stream, entry, beat))


def read_batches(layout: Layout, stream: Stream, entries: Sequence[BatchEntry], beat: Callable[[], None]) -> "pa.Table":
    """Return all lines of these batches, as many as they are; raises DamagedBatch if one is not as its ledger line says."""
    blocks = (block for entry in entries for block in _read(layout, stream, entry, beat))
    return _table([split(group) for group in _groups(blocks)])


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Put blocks together that are split at once: a call of numpy takes longer than a small batch's lines."""
    group: list[Block] = []
    size = 0
    for block in blocks:
        group.append(block)
        size += len(block.content)
        if size >= _BLOCK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def read_pieces(
    layout: Layout, stream: Stream, entry: BatchEntry, beat: Callable[[], None], most: int
) -> Iterator["pa.Table"]:
    """Yield the lines of a batch, some more than so many at a time.

    Raises DamagedBatch, after the last of them, if the batch is not as its ledger line says.
    """
    piece: list[pa.RecordBatch] = []
    for block in _read(layout, stream, entry, beat):
        piece.append(split([block]))
        if sum(map(len, piece)) >= most:
            yield _table(piece)
            piece = []
    yield _table(piece)


def _table(pieces: Sequence["pa.RecordBatch"]) -> "pa.Table":
    import pyarrow as pa

    return pa.Table.from_batches(pieces or [split([_NOTHING])])


def _read(layout: Layout, stream: Stream, entry: BatchEntry, beat: Callable[[], None]) -> Iterator[Block]:
    folder = layout.batch(stream, entry.batch_id)
    hashed = BatchHash(entry.schema_version)
    count = 0
    for number in range(max(1, entry.parts)):
        path = folder / part_name(stream, number, entry.parts)
        try:
            for content in _blocks(path):
                hashed.update(content)
                beat()
                yield Block(content, count + 1, entry.batch_number, entry.interval)
                count += int(np.count_nonzero(_newlines(content))) + (not content.endswith(b"\n"))
        except FileNotFoundError as fault:
            raise _damaged(stream, entry, f"{path} is missing") from fault
        hashed.end_part()
    if hashed.hexdigest() != entry.sha256:
        raise _damaged(stream, entry, f"{folder} has {count} lines whose hash is not that of the {entry.record_count}")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks that end where a line does."""
    begun: list[bytes] = []
    with path.open("rb", buffering=0) as file:
        at_once = min(_BLOCK_BYTES, os.fstat(file.fileno()).st_size + 1)  # memory for more would be got in vain
        while block := file.read(at_once):
            lines, newline, rest = block.rpartition(b"\n")
            if newline:
                yield b"".join((*begun, lines, newline))
                begun = []
            begun.append(rest)
    if any(begun):
        yield b"".join(begun)


def _damaged(stream: Stream, entry: BatchEntry, what: str) -> DamagedBatch:
    return DamagedBatch(
        f"Batch {entry.batch_id} of {stream} is not as it was published: {what}. "
        "`fleetgen verify --all --repair` publishes it again.",
        entry.batch_number,
    )


def listed(blocks: Iterable[Block]) -> dict[str, list[Any]]:
    """Return the lines of some blocks, a list for each column of LINES: of a few this is sooner than `split`."""
    rows = [
        (
            block.batch_number,
            block.first_line + place,
            *_text(line),
            len(line),
            block.interval.start,
            block.interval.end,
        )
        for block in blocks
        for place, line in enumerate(_ended(block.content).split(b"\n")[:-1])
    ]
    return dict(zip(LINES, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in LINES}


def split(blocks: Sequence[Block]) -> "pa.RecordBatch":
    """Return the lines of some blocks, with the columns of LINES."""
    import pyarrow as pa

    contents = [_ended(block.content) for block in blocks]
    content = b"".join(contents)
    ends = np.flatnonzero(_newlines(content))
    lines = np.arange(len(ends))
    before = np.searchsorted(ends, np.cumsum([0, *map(len, contents)]))
    # Without its newlines, line i starts where the bytes before it end, less a newline for each of them.
    offsets = np.zeros(len(ends) + 1, np.int64)
    offsets[1:] = ends - lines
    facts = [
        (block.batch_number, block.first_line - first, block.interval.start, block.interval.end)
        for block, first in zip(blocks, before, strict=False)
    ]
    numbers, firsts, starts, stops = np.array(facts, np.int64).repeat(np.diff(before), axis=0).T.copy()
    raw, valid = _texts(content, offsets)
    columns = [numbers, firsts + lines, raw, valid, np.diff(offsets), starts, stops]
    return pa.record_batch([pa.array(column) for column in columns], names=list(LINES))


def _newlines(content: bytes) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.frombuffer(content, np.uint8) == _NEWLINE
    return found


def _ended(content: bytes) -> bytes:
    """Return lines of which the last has its newline, too."""
    return content if not content or content.endswith(b"\n") else content + b"\n"


def _texts(content: bytes, offsets: NDArray[np.int64]) -> tuple["pa.Array", "pa.Array"]:
    """Return each line as text and whether it is UTF-8; other bytes stand in the text as ``\\xff``.

    ``offsets`` are those of the lines without their newlines.
    """
    import pyarrow as pa

    try:
        content.decode()
    except UnicodeDecodeError:
        texts, valid = zip(*map(_text, content.split(b"\n")[:-1]), strict=True)
        return pa.array(texts, pa.large_string()), pa.array(valid, pa.bool_())
    count = len(offsets) - 1
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content.replace(b"\n", b""))]
    return pa.Array.from_buffers(pa.large_string(), count, buffers), pa.array(np.ones(count, bool))


def _text(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode(), True
    except UnicodeDecodeError:
        return line.decode(errors="backslashreplace"), False
