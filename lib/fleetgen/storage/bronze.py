"""Owns bronze: a batch is made in the staging folder and comes to be, whole, by one rename.

The bytes come from `generation`, which also records the batch after the rename.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.storage.files import make_folder, sync_folder, write_file
from fleetgen.storage.layout import Layout

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One data file of a batch."""

    file: str
    record_count: int
    bytes: int
    sha256: str


@dataclass
class BatchContent:
    """Writes the data files of one batch, counting and hashing what it writes."""

    folder: Path
    stream: Stream
    part_rows: tuple[int, ...]
    """Lines of each part, in order."""
    parts: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._whole = hashlib.sha256()

    def write_part(self, chunks: Iterable[memoryview]) -> None:
        """Write the next part and make it durable."""
        number = len(self.parts)
        name = part_name(self.stream, number, len(self.part_rows))
        hashed, size = self._write(self.folder / name, chunks)
        self.parts.append(Part(name, self.part_rows[number], size, hashed))

    @property
    def sha256(self) -> str:
        """Hash of the parts in order."""
        return self._whole.hexdigest()

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def _write(self, path: Path, chunks: Iterable[memoryview]) -> tuple[str, int]:
        """Write in pieces that stay in the processor's cache between hashing and writing.

        The first part is hashed once: up to its end it is the whole.
        """
        hashes = [self._whole, hashlib.sha256()] if self.parts else [self._whole]
        size = 0
        with path.open("wb", buffering=0) as file:
            for chunk in chunks:
                for start in range(0, len(chunk), _PIECE_BYTES):
                    piece = chunk[start : start + _PIECE_BYTES]
                    for hashed in hashes:
                        hashed.update(piece)
                    _write_all(file.fileno(), piece)
                size += len(chunk)
            os.fsync(file.fileno())
        return hashes[-1].hexdigest(), size


def _write_all(descriptor: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def part_name(stream: Stream, number: int, parts: int) -> str:
    """Name of a batch's data file."""
    return f"{stream}.jsonl" if parts <= 1 else f"{stream}-{number:05d}.jsonl"


def start_batch(folder: Path) -> None:
    """Make an empty staging folder for a batch; what an earlier attempt left there is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder.parent)
    folder.mkdir()


def finish_batch(folder: Path, meta: dict[str, Any]) -> None:
    """Add the meta and make the staged batch durable; only the rename is missing then."""
    write_file(folder / "batch_meta.json", json.dumps(meta, indent=1).encode() + b"\n")
    sync_folder(folder)


def publish_batch(folder: Path, target: Path) -> None:
    """Rename a staged batch into place: this is the commit."""
    make_folder(target.parent)
    folder.rename(target)
    sync_folder(target.parent)


def discard_staged(layout: Layout, stream: Stream) -> None:
    """Remove what unfinished attempts left in staging."""
    for folder in layout.staging.glob(f"{stream}*"):
        shutil.rmtree(folder, ignore_errors=True)


def read_meta(layout: Layout, stream: Stream, batch_id: str) -> dict[str, Any] | None:
    """Return a published batch's meta, or None if there is no such batch; raise ValueError if it is damaged."""
    path = layout.batch_meta(stream, batch_id)
    try:
        meta = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(meta, dict):
        raise ValueError(f"{path} holds no JSON object")
    return meta
