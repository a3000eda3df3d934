"""Owns what a batch's files must hold, made again in memory, and what they do hold, as hashes.

What a difference means is left to `checking` and `working_out`.
"""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fleetgen.domain.batches import Batch
from fleetgen.domain.records import SCHEMA_VERSION, Stream
from fleetgen.storage.bronze import Part, part_name
from fleetgen.storage.hashing import BatchHash

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ExpectedContent:
    """What a batch's files must hold."""

    parts: list[Part]
    sha256: str
    truth_sha256: str | None
    """None where nothing is injected, so that there is no truth."""
    issues: Counter[str]


def expected_content(stream: Stream, batch: Batch, schema_version: int = SCHEMA_VERSION) -> ExpectedContent:
    """Return what a batch's files must hold, and its hash in this version of their layout, without writing anything."""
    hashed, truth = BatchHash(schema_version), hashlib.sha256()
    issues: Counter[str] = Counter()
    blocks = batch.parts()
    parts: list[Part] = []
    for number, part_blocks in enumerate(blocks):
        size = 0
        for piece in batch.pieces(part_blocks):
            hashed.update(piece.lines)
            truth.update(piece.truth)
            issues += piece.issues
            size += len(piece.lines)
        rows = sum(batch.block_rows[block] for block in part_blocks)
        parts.append(Part(part_name(stream, number, len(blocks)), rows, size, hashed.end_part()))
    truth_sha256 = truth.hexdigest() if batch.corrupt_block is not None else None
    return ExpectedContent(parts, hashed.hexdigest(), truth_sha256, issues)


def file_hash(path: Path) -> str:
    """Return a file's SHA-256."""
    hashed = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        at_once = min(_READ_BYTES, os.fstat(file.fileno()).st_size + 1)  # memory for more would be got in vain
        while piece := file.read(at_once):
            hashed.update(piece)
    return hashed.hexdigest()
