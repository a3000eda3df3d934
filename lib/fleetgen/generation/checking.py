"""Owns making batches again from manifest and ledger alone: to print them, and to compare them with what is on disk."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fleetgen.domain.batches import Batch, BatchInputs, make_batch
from fleetgen.domain.records import ALGORITHM, Interval, Stream, segment_of
from fleetgen.errors import FleetgenError, ManifestError, UsageError
from fleetgen.generation import recording
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.staging import finish, stage
from fleetgen.storage.bronze import Part, part_name, publish_batch, read_meta
from fleetgen.storage.files import FileLock
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, GapEntry
from fleetgen.storage.manifest import Manifest

_READ_BYTES = 1 << 20


class OtherAlgorithm(FleetgenError):
    """The batch was made by another algorithm."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was made."""

    stream: Stream
    batch_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.stream} {self.batch_id}: {self.text}"


def find_entry(dataset: Dataset, stream: Stream, batch_id: str) -> BatchEntry:
    """Return the ledger's line for a batch; raise UsageError if there is none."""
    for entry in dataset.ledgers[stream].batches():
        if entry.batch_id == batch_id:
            return entry
    raise UsageError(
        f"There is no batch {batch_id!r} in {stream}. Batches are named by the start of their interval, such as "
        f"20260131T120000Z: see the folders in {dataset.layout.stream(stream)}."
    )


def remake(dataset: Dataset, manifest: Manifest, stream: Stream, entry: BatchEntry) -> tuple[BatchInputs, Batch]:
    """Return a batch's inputs and the batch that follows from them; raise OtherAlgorithm if this code cannot make it."""
    segments = dataset.segments(manifest)
    try:
        segment = segment_of(segments, stream, entry.batch_number)
    except LookupError as fault:
        raise ManifestError(f"The ledger of {stream} does not fit the manifest: {fault}.") from fault
    if segment.algorithm != ALGORITHM:
        raise OtherAlgorithm(
            f"Segment {segment.number} was made by algorithm {segment.algorithm}; this fleetgen has algorithm {ALGORITHM}. "
            "Use the version of fleetgen that the batch's meta names."
        )
    inputs = BatchInputs(
        stream, entry.batch_number, entry.interval, segment, segments[: segment.number], entry.company_count
    )
    return inputs, make_batch(inputs)


def check(
    dataset: Dataset, newest: int | None, progress: Callable[[int], None] = lambda done: None
) -> Iterator[Difference]:
    """Yield every difference between what the ledgers say, what the settings make, and what is on disk.

    ``newest`` limits the check to that many of each stream's last batches; None checks all. ``progress`` is told how
    many batches have been checked.
    """
    manifest = dataset.manifest()
    done = 0
    for stream in Stream:
        if newest is None:
            yield from _check_order(dataset, manifest, stream)
        for entry in entries(dataset, stream, newest):
            if entry.batch_number >= manifest.head(stream).next_batch:
                break  # published since the manifest was read
            yield from _check_batch(dataset, manifest, stream, entry)
            done += 1
            progress(done)
    yield from _check_companies_file(dataset)


def entries(dataset: Dataset, stream: Stream, newest: int | None) -> Iterable[BatchEntry]:
    """Return the ledger's batches, or the newest of them."""
    ledger = dataset.ledgers[stream]
    return ledger.batches() if newest is None else ledger.newest_batches(newest)


def _check_order(dataset: Dataset, manifest: Manifest, stream: Stream) -> Iterator[Difference]:
    """Check that intervals tile time and numbers run on, and that the manifest stands where the ledger ends."""
    ends_at: int | None = None
    number = 0
    head = manifest.head(stream)
    for entry in dataset.ledgers[stream].entries():
        if entry.interval.end > head.stands_at:
            break  # decided since the manifest was read
        name = Interval(entry.interval.start, entry.interval.end).batch_id
        if ends_at is not None and entry.interval.start != ends_at:
            yield Difference(stream, name, "does not begin where the interval before it ends")
        ends_at = entry.interval.end
        if isinstance(entry, GapEntry):
            continue
        if entry.batch_number != number:
            yield Difference(stream, name, f"has number {entry.batch_number}, but {number} is next")
        number = entry.batch_number + 1
    if number != head.next_batch or (ends_at is not None and ends_at != head.stands_at):
        yield Difference(stream, "ledger", f"ends with batch {number - 1}, the manifest with {head.next_batch - 1}")


def _check_batch(dataset: Dataset, manifest: Manifest, stream: Stream, entry: BatchEntry) -> Iterator[Difference]:
    try:
        meta = read_meta(dataset.layout, stream, entry.batch_id)
    except ValueError:
        yield Difference(stream, entry.batch_id, "has a damaged batch_meta.json")
        return
    if meta is None:
        yield Difference(stream, entry.batch_id, "is missing: its folder or its meta was deleted")
        return
    inputs, batch = remake(dataset, manifest, stream, entry)
    parts, whole = expected_parts(stream, batch)
    if whole != entry.sha256:
        yield Difference(stream, entry.batch_id, "does not follow from its segment: the ledger has another hash")
    expected = recording.batch_meta(inputs, parts, whole)
    wrong = [key for key, value in expected.items() if meta.get(key) != value and key != "generator_version"]
    if wrong:
        yield Difference(stream, entry.batch_id, f"has a changed batch_meta.json: {', '.join(wrong)}")
    yield from _check_files(stream, entry, dataset.layout.batch(stream, entry.batch_id), parts)


def _check_files(stream: Stream, entry: BatchEntry, folder: Path, parts: list[Part]) -> Iterator[Difference]:
    for part in parts:
        path = folder / part.file
        if not path.exists():
            yield Difference(stream, entry.batch_id, f"lacks {part.file}")
        elif file_hash(path) != part.sha256:
            yield Difference(stream, entry.batch_id, f"has changed bytes in {part.file}")
    strange = {file.name for file in recording.data_files(folder, stream)} - {part.file for part in parts}
    if strange:
        yield Difference(stream, entry.batch_id, f"has files that it should not have: {', '.join(sorted(strange))}")


def _check_companies_file(dataset: Dataset) -> Iterator[Difference]:
    """Check the size of the one file of all companies; it may be one batch behind, which the next batch puts right."""
    path = dataset.layout.all_companies
    size = path.stat().st_size if path.exists() else 0
    total = dataset.manifest().head(Stream.COMPANIES).totals.bytes
    if size > total:
        yield Difference(Stream.COMPANIES, path.name, f"has {size} bytes, but all batches have {total}")


def expected_parts(stream: Stream, batch: Batch) -> tuple[list[Part], str]:
    """Return the parts that a batch must have and the hash of the whole, without writing anything."""
    whole = hashlib.sha256()
    blocks = batch.parts()
    parts: list[Part] = []
    for number, part_blocks in enumerate(blocks):
        hashed, size = hashlib.sha256(), 0
        for chunk in batch.lines(part_blocks):
            hashed.update(chunk.data)
            whole.update(chunk.data)
            size += len(chunk)
        rows = sum(batch.block_rows[block] for block in part_blocks)
        parts.append(Part(part_name(stream, number, len(blocks)), rows, size, hashed.hexdigest()))
    return parts, whole.hexdigest()


def file_hash(path: Path) -> str:
    """Return a file's SHA-256."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            hashed.update(piece)
    return hashed.hexdigest()


def require_dataset(dataset: Dataset) -> Manifest:
    """Return the manifest of a dataset that has begun; raise ManifestError otherwise."""
    manifest = dataset.manifest()
    if manifest.origin is None:
        raise ManifestError(f"The dataset in {dataset.layout.data} is empty: start the set with `fleetgen up`.")
    return manifest


def repair(dataset: Dataset, manifest: Manifest, difference: Difference) -> bool:
    """Publish again a batch that was deleted or damaged by hand; return whether the difference is one of a batch."""
    stream = difference.stream
    entry = next((each for each in dataset.ledgers[stream].batches() if each.batch_id == difference.batch_id), None)
    if entry is None:
        return False
    layout = dataset.layout
    inputs, _ = remake(dataset, manifest, stream, entry)
    with FileLock(layout.writer_lock(stream)).held():
        staged = stage(layout.staging / f"{stream}-repair", inputs)
        if staged.meta["sha256"] != entry.sha256:
            shutil.rmtree(staged.folder)
            return False
        finish(staged, _clock_meta(layout, stream, entry))
        target = layout.batch(stream, entry.batch_id)
        trash = layout.data / f".trash-repair-{stream}-{entry.batch_id}"
        if target.exists():
            target.rename(trash)
        publish_batch(staged.folder, target)
        shutil.rmtree(trash, ignore_errors=True)
    return True


def _clock_meta(layout: Layout, stream: Stream, entry: BatchEntry) -> dict[str, object]:
    """Return when the batch was first made, as far as its meta still tells."""
    with suppress(ValueError, KeyError):
        if (meta := read_meta(layout, stream, entry.batch_id)) is not None:
            return {key: meta[key] for key in recording.CLOCK_KEYS}
    end = entry.interval.end
    return recording.clock_meta(end, end, end)
