"""Owns the way from the files of a published batch to raw lines, whatever bytes are in them, without losing one.

A line ends at a newline byte and nowhere else; the last one may lack it. Judging the lines is left to `rules`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.storage.bronze import part_name
from fleetgen.storage.hashing import BatchHash
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

LINES = pa.schema(
    [
        ("batch_number", pa.int64()),
        ("line", pa.int64()),
        ("raw", pa.large_string()),
        ("valid_utf8", pa.bool_()),
        ("size_bytes", pa.int64()),
        ("interval_start", pa.int64()),
        ("interval_end", pa.int64()),
    ]
)

_NEWLINE = 10


class DamagedBatch(FleetgenError):
    """A published batch is not as it was published: `fleetgen verify --all --repair` publishes it again."""


_BLOCK_BYTES = 1 << 20
"""So much of a file is read at once: as much as the processor's cache holds, and enough for threads to share a piece."""


def read_batches(layout: Layout, stream: Stream, entries: Sequence[BatchEntry], beat: Callable[[], None]) -> pa.Table:
    """Return all lines of these batches; raises DamagedBatch if one is not as its ledger line says."""
    return pa.Table.from_batches([each for entry in entries for each in _read(layout, stream, entry, beat)], LINES)


def read_pieces(
    layout: Layout, stream: Stream, entry: BatchEntry, beat: Callable[[], None], most: int
) -> Iterator[pa.Table]:
    """Yield the lines of a batch, some more than so many at a time.

    Raises DamagedBatch, after the last of them, if the batch is not as its ledger line says.
    """
    piece: list[pa.RecordBatch] = []
    for lines in _read(layout, stream, entry, beat):
        piece.append(lines)
        if sum(map(len, piece)) >= most:
            yield pa.Table.from_batches(piece, LINES)
            piece = []
    yield pa.Table.from_batches(piece, LINES)


def _read(layout: Layout, stream: Stream, entry: BatchEntry, beat: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    folder = layout.batch(stream, entry.batch_id)
    hashed = BatchHash(entry.schema_version)
    count = 0
    for number in range(max(1, entry.parts)):
        path = folder / part_name(stream, number, entry.parts)
        try:
            for content in _blocks(path):
                hashed.update(content)
                lines = split_lines(content, count + 1, entry.batch_number, entry.interval.start, entry.interval.end)
                count += len(lines)
                beat()
                yield lines
        except FileNotFoundError as fault:
            raise _damaged(stream, entry, f"{path} is missing") from fault
        hashed.end_part()
    if hashed.hexdigest() != entry.sha256:
        raise _damaged(stream, entry, f"{folder} has {count} lines whose hash is not that of the {entry.record_count}")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks that end where a line does."""
    begun: list[bytes] = []
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
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
        "`fleetgen verify --all --repair` publishes it again."
    )


def split_lines(content: bytes, first_line: int, batch_number: int, start: int, end: int) -> pa.RecordBatch:
    """Return the lines of one file; ``start`` and ``end`` are those of the batch's interval."""
    data = np.frombuffer(content, np.uint8)
    newlines = np.flatnonzero(data == _NEWLINE)
    ends = newlines if not len(data) or data[-1] == _NEWLINE else np.append(newlines, len(data))
    count = len(ends)
    # Without its newlines, line i starts where the bytes before it end, less a newline for each of them.
    offsets = np.zeros(count + 1, np.int64)
    offsets[1:] = ends - np.arange(count)
    sizes = np.diff(offsets)
    raw, valid = _texts(content.replace(b"\n", b""), offsets)
    columns = [
        np.full(count, batch_number),
        np.arange(first_line, first_line + count),
        raw,
        valid,
        sizes,
        np.full(count, start),
        np.full(count, end),
    ]
    return pa.record_batch([pa.array(column) for column in columns], schema=LINES)


def _texts(data: bytes, offsets: NDArray[np.int64]) -> tuple[pa.Array, pa.Array]:
    """Return each line as text and whether it is UTF-8; other bytes stand in the text as ``\\xff``."""
    count = len(offsets) - 1
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    raw = pa.Array.from_buffers(pa.large_binary(), count, buffers)
    try:
        return raw.cast(pa.large_string()), pa.array(np.ones(count, bool))
    except pa.ArrowInvalid:
        lines = [_text(line) for line in raw.to_pylist()]
        texts, valid = ([line[place] for line in lines] for place in (0, 1))
        return pa.array(texts, pa.large_string()), pa.array(valid, pa.bool_())


def _text(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode(), True
    except UnicodeDecodeError:
        return line.decode(errors="backslashreplace"), False
