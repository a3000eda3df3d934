"""Owns bronze: a batch is made in the staging folder and comes to be, whole, by one rename.

The bytes come from `generation`, which also records the batch after the rename.
"""

import errno
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic_core import to_json

from fleetgen.domain.records import SCHEMA_VERSION, Stream
from fleetgen.errors import InTheWay
from fleetgen.storage.files import make_folder, put_in_place, remove_tree, sync_folder, write_file
from fleetgen.storage.hashing import BatchHash, beside
from fleetgen.storage.layout import Layout
from fleetgen.storage.permits import Permit
from fleetgen.storage.progress import Progress, names_in, unwatched
from fleetgen.storage.reading import read_json

if TYPE_CHECKING:
    from fleetgen.domain.batches import Piece

META_FILE = "batch_meta.json"
TRUTH_FILE = "issues.jsonl"

_IN_THE_WAY = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}

_SLICE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One data file of a batch."""

    file: str
    record_count: int
    bytes: int
    sha256: str


class BatchContent:
    """Writes the data files of one batch, and its truth, into a staging folder, counting and hashing what it writes."""

    def __init__(
        self,
        folder: Path,
        stream: Stream,
        part_rows: tuple[int, ...],
        with_truth: bool,
        schema_version: int = SCHEMA_VERSION,
        two_cores: bool = False,
        durable: bool = True,
    ) -> None:
        self.stream = stream
        self.durable = durable
        """Whether what is written is on the disk at once; a round of batches is synced as a whole."""
        self.part_rows = part_rows
        """Lines of each part, in order."""
        self.parts: list[Part] = []
        self.issues: Counter[str] = Counter()
        """How many records got each type of issue."""
        self._folder = staged_batch(folder)
        self._truth = staged_truth(folder) / TRUTH_FILE if with_truth else None
        self._hash = BatchHash(schema_version)
        self._two_cores = two_cores
        self._hashed_bytes = sys.maxsize if two_cores else _SLICE_BYTES

    def write_part(self, pieces: Iterable["Piece"]) -> None:
        """Write the next part."""
        number = len(self.parts)
        name = part_name(self.stream, number, len(self.part_rows))
        size = self._write(self._folder / name, pieces)
        self.parts.append(Part(name, self.part_rows[number], size, self._hash.end_part()))

    @property
    def sha256(self) -> str:
        """Hash of the batch, once all parts are written."""
        return self._hash.hexdigest()

    def _write(self, path: Path, pieces: Iterable["Piece"]) -> int:
        """Write in slices that stay in the processor's cache between hashing and writing, or hash on another core."""
        size = 0
        with path.open("wb", buffering=0) as file, self._opened_truth() as truth, self._hashing() as update:
            for piece in pieces:
                for part in _slices(piece.lines, self._hashed_bytes):
                    update(part)
                    _write_all(file.fileno(), part)
                size += len(piece.lines)
                truth.write(piece.truth)
                self.issues += piece.issues
            truth.flush()
            if self.durable:
                os.fsync(file.fileno())
            if self.durable and self._truth is not None:
                os.fsync(truth.fileno())
        return size

    def _hashing(self) -> AbstractContextManager[Callable[[memoryview], None]]:
        return beside(self._hash) if self._two_cores else nullcontext(self._hash.update)

    def _opened_truth(self) -> BinaryIO:
        return io.BytesIO() if self._truth is None else self._truth.open("ab")


def _slices(lines: memoryview, size: int) -> Iterator[memoryview]:
    return (lines[start : start + size] for start in range(0, len(lines), size))


def _write_all(descriptor: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece[:_SLICE_BYTES]) :]


def part_name(stream: Stream, number: int, parts: int) -> str:
    """Name of a batch's data file."""
    return f"{stream}.jsonl" if parts <= 1 else f"{stream}-{number:05d}.jsonl"


def staged_batch(folder: Path) -> Path:
    """The staging folder that becomes the batch."""
    return folder.with_name(f"{folder.name}.batch")


def staged_truth(folder: Path) -> Path:
    """The staging folder that becomes the truth about what was injected."""
    return folder.with_name(f"{folder.name}.truth")


def start_batch(folder: Path, with_truth: bool) -> None:
    """Make empty staging folders for a batch; what an earlier attempt left there is removed.

    Both go by being renamed: removing a folder takes longer than all else of a small batch on some disks.
    """
    try:
        _make_staged(folder, with_truth)
    except FileExistsError:
        discard_batch(folder)
        _make_staged(folder, with_truth)


def _make_staged(folder: Path, with_truth: bool) -> None:
    make_folder(folder.parent)
    staged_batch(folder).mkdir()
    if with_truth:
        staged_truth(folder).mkdir()


def finish_batch(folder: Path, meta: dict[str, Any], durable: bool = True) -> None:
    """Add the meta and make the staged batch durable; only the renames are missing then."""
    write_file(staged_batch(folder) / META_FILE, to_json(meta, indent=1) + b"\n", durable)
    if not durable:
        return
    sync_folder(staged_batch(folder))
    if staged_truth(folder).exists():
        sync_folder(staged_truth(folder))


def publish_batch(permit: Permit, layout: Layout, folder: Path, stream: Stream, batch_id: str) -> None:
    """Rename the truth and then the batch into place: the second rename is the commit.

    Raises InTheWay where something else has the batch's name.
    """
    permit.check()
    if staged_truth(folder).exists():
        discard_truth(layout, stream, batch_id)
        _rename(staged_truth(folder), layout.truth(stream, batch_id))
    _rename(staged_batch(folder), layout.batch(stream, batch_id))


def publish_again(permit: Permit, layout: Layout, folder: Path, stream: Stream, batch_id: str) -> None:
    """Put a batch and its truth in the place of what is left of them: readers see the old one until they see the new one."""
    permit.check()
    if staged_truth(folder).exists():
        put_in_place(staged_truth(folder), layout.truth(stream, batch_id))
    put_in_place(staged_batch(folder), layout.batch(stream, batch_id))


def _rename(source: Path, target: Path) -> None:
    make_folder(target.parent)
    rename_to_free(source, target)
    sync_folder(target.parent)


def rename_to_free(source: Path, target: Path) -> None:
    """Rename a folder to where nothing lies; raise InTheWay where something does."""
    try:
        source.rename(target)
    except OSError as fault:
        if fault.errno not in _IN_THE_WAY:
            raise
        raise InTheWay(
            f"{target} is in the way: the next batch has this name, but what lies there is not that batch. Move it away."
        ) from fault


def discard_batch(folder: Path) -> None:
    """Remove a staged batch, if there is one, and what one was put in the place of."""
    for staged in (staged_batch(folder), staged_truth(folder)):
        for path in (staged, staged.with_name(f"{staged.name}.old")):
            remove_tree(path)


def discard_staged(layout: Layout, stream: Stream) -> None:
    """Remove what unfinished attempts left in staging."""
    for path in layout.staging.glob(f"{stream}*"):
        remove_tree(path)


def discard_truths(layout: Layout, stream: Stream, first_id: str, progress: Progress = unwatched) -> None:
    """Remove the truths, from this batch's on, of batches that a crash kept from being published."""
    for name in [name for name in names_in(layout.truths(stream), progress) if name >= first_id]:
        if not layout.batch(stream, name).exists():
            discard_truth(layout, stream, name)


def discard_truth(layout: Layout, stream: Stream, batch_id: str) -> None:
    """Remove the truth about a batch that a crash kept from being published."""
    remove_tree(layout.truth(stream, batch_id))


def read_meta(layout: Layout, stream: Stream, batch_id: str) -> dict[str, Any] | None:
    """Return a published batch's meta, or None if there is no such batch; raise ValueError if it is damaged."""
    path = layout.batch_meta(stream, batch_id)
    try:
        meta = read_json(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        if not layout.stream(stream).is_dir():
            raise  # no batch can be read or written there
        return None
    if not isinstance(meta, dict):
        raise ValueError(f"{path} holds no JSON object")
    return meta
