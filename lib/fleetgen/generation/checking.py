"""Owns making batches again from manifest and ledger alone: to print them, and to compare them with what is on disk."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from fleetgen.domain import together
from fleetgen.domain.batches import Batch, BatchInputs, make_batch
from fleetgen.domain.records import ALGORITHM, Interval, Stream, instant_of, is_batch_id, segment_of
from fleetgen.errors import CannotCreate, DifferenceFound, FleetgenError, ManifestError, NoDataset, UsageError
from fleetgen.generation import recording
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.expecting import ExpectedContent, expected_content, file_hash
from fleetgen.storage.bronze import TRUTH_FILE, Part, read_meta
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, GapEntry, Ledger
from fleetgen.storage.manifest import Manifest
from fleetgen.storage.pruning import pruned_before

MANIFEST = "manifest"
"""What a difference of the manifest names in place of a batch."""


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


def find_entry(dataset: Dataset, stream: Stream, batch_id: str) -> BatchEntry | None:
    """Return the ledger's line for a batch, None if there is none; costs the same in a ledger of any length."""
    if not is_batch_id(batch_id):
        return None
    found = dataset.ledgers[stream].starting_at(instant_of(batch_id))
    return found if isinstance(found, BatchEntry) and found.batch_id == batch_id else None


def require_entry(dataset: Dataset, stream: Stream, batch_id: str) -> BatchEntry:
    """Return the ledger's line for a batch; raise UsageError if there is none."""
    if (found := find_entry(dataset, stream, batch_id)) is not None:
        return found
    raise UsageError(
        f"There is no batch {batch_id!r} in {stream}. Batches are named by the start of their interval, such as "
        f"20260131T120000Z: see the folders in {dataset.layout.stream(stream)}."
    )


def inputs_of(dataset: Dataset, manifest: Manifest, stream: Stream, entry: BatchEntry) -> BatchInputs:
    """Return a batch's inputs; raise OtherAlgorithm if this code cannot make it."""
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
    return BatchInputs(
        stream, entry.batch_number, entry.interval, segment, segments[: segment.number], entry.company_count
    )


def remake(dataset: Dataset, manifest: Manifest, stream: Stream, entry: BatchEntry) -> tuple[BatchInputs, Batch]:
    """Return a batch's inputs and the batch that follows from them; raise OtherAlgorithm if this code cannot make it."""
    inputs = inputs_of(dataset, manifest, stream, entry)
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
        yield from check_manifest(dataset, manifest, stream)
        if newest is None:
            yield from check_order(dataset, manifest, stream)
        for found in check_batches(dataset, manifest, stream, _known(dataset, manifest, stream, newest)):
            yield from found
            done += 1
            progress(done)
    yield from check_companies_file(dataset)


def entries(dataset: Dataset, stream: Stream, newest: int | None) -> Iterable[BatchEntry]:
    """Return the ledger's batches, or the newest of them."""
    ledger = dataset.ledgers[stream]
    return ledger.batches() if newest is None else ledger.newest_batches(newest)


def _known(dataset: Dataset, manifest: Manifest, stream: Stream, newest: int | None) -> Iterator[BatchEntry]:
    """Return those batches but for what was published since the manifest was read."""
    known = manifest.head(stream).next_batch
    return takewhile(lambda entry: entry.batch_number < known, entries(dataset, stream, newest))


def check_manifest(dataset: Dataset, manifest: Manifest, stream: Stream) -> Iterator[Difference]:
    """Check that the manifest knows every line of the ledger, as one that was put back from a backup does not."""
    if _is_older(dataset, manifest, stream):
        known = manifest.head(stream).next_batch - 1
        yield Difference(stream, MANIFEST, f"is older than the ledger: it ends with batch {known}, the ledger goes on")


def _is_older(dataset: Dataset, manifest: Manifest, stream: Stream) -> bool:
    """Whether the ledger has lines that nobody is just now taking into the manifest."""
    if not dataset.is_behind(manifest, stream):
        return False
    with suppress(CannotCreate), dataset.store.locked() as transaction:
        return dataset.is_behind(transaction.manifest, stream)
    return True  # nobody can write there


def check_order(dataset: Dataset, manifest: Manifest, stream: Stream) -> Iterator[Difference]:
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


def check_batches(
    dataset: Dataset, manifest: Manifest, stream: Stream, listed: Iterable[BatchEntry]
) -> Iterator[list[Difference]]:
    """Yield what is found in each batch; raise OtherAlgorithm for one that this code cannot make.

    Of one that was pruned, also meanwhile, it is checked only that it follows from its segment.
    """
    pairs = ((entry, inputs_of(dataset, manifest, stream, entry)) for entry in listed)
    for group in together.groups(pairs, lambda pair: pair[1]):
        batches = together.make_batches([inputs for _, inputs in group])
        for (entry, inputs), batch in zip(group, batches, strict=True):
            content = expected_content(stream, batch, entry.schema_version)
            found = list(_differences(dataset, inputs, entry, content))
            if found and entry.batch_number < pruned_before(dataset.layout, stream):
                found = list(_check_hash(stream, entry, content))
            yield found


def _differences(
    dataset: Dataset, inputs: BatchInputs, entry: BatchEntry, content: ExpectedContent
) -> Iterator[Difference]:
    stream = inputs.stream
    try:
        meta = read_meta(dataset.layout, stream, entry.batch_id)
    except ValueError:
        yield Difference(stream, entry.batch_id, "has a damaged batch_meta.json")
        return
    if meta is None:
        yield Difference(stream, entry.batch_id, "is missing: its folder or its meta was deleted")
        return
    yield from _check_hash(stream, entry, content)
    expected = recording.batch_meta(inputs, content.parts, content.sha256, content.issues, entry.schema_version)
    wrong = [key for key, value in expected.items() if meta.get(key) != value and key != "generator_version"]
    if wrong:
        yield Difference(stream, entry.batch_id, f"has a changed batch_meta.json: {', '.join(wrong)}")
    yield from _check_files(stream, entry, dataset.layout.batch(stream, entry.batch_id), content.parts)
    if content.truth_sha256 is not None:
        yield from _check_truth(dataset, stream, entry, content.truth_sha256)


def _check_hash(stream: Stream, entry: BatchEntry, content: ExpectedContent) -> Iterator[Difference]:
    if content.sha256 != entry.sha256:
        yield Difference(stream, entry.batch_id, "does not follow from its segment: the ledger has another hash")


def _check_files(stream: Stream, entry: BatchEntry, folder: Path, parts: list[Part]) -> Iterator[Difference]:
    for part in parts:
        try:
            changed = file_hash(folder / part.file) != part.sha256
        except FileNotFoundError:
            yield Difference(stream, entry.batch_id, f"lacks {part.file}")
            continue
        if changed:
            yield Difference(stream, entry.batch_id, f"has changed bytes in {part.file}")
    strange = recording.data_names(folder, stream) - {part.file for part in parts}
    if strange:
        yield Difference(stream, entry.batch_id, f"has files that it should not have: {', '.join(sorted(strange))}")


def _check_truth(dataset: Dataset, stream: Stream, entry: BatchEntry, sha256: str) -> Iterator[Difference]:
    path = dataset.layout.truth(stream, entry.batch_id) / TRUTH_FILE
    if not path.exists():
        yield Difference(stream, entry.batch_id, f"lacks its truth, {TRUTH_FILE}")
    elif file_hash(path) != sha256:
        yield Difference(stream, entry.batch_id, f"has changed bytes in its truth, {TRUTH_FILE}")


def check_companies_file(dataset: Dataset) -> Iterator[Difference]:
    """Check the size of the one file of all companies; it may be a round behind, which the next batch puts right."""
    manifest, path = dataset.manifest(), dataset.layout.all_companies
    size = path.stat().st_size if path.exists() else 0
    total = manifest.head(Stream.COMPANIES).totals.bytes
    if size > total and not _is_older(dataset, manifest, Stream.COMPANIES):
        yield Difference(Stream.COMPANIES, path.name, f"has {size} bytes, but all batches have {total}")


def missing_batch(layout: Layout, stream: Stream, batch_id: str) -> UsageError:
    """Say that a batch that the ledger names is not on disk."""
    kept = Ledger(layout.ledger(stream)).batches_from(pruned_before(layout, stream), 1)
    if kept and batch_id < kept[0].batch_id:
        return UsageError(
            f"{stream} {batch_id} was pruned, as retention.keep_batches says: `fleetgen replay {stream} {batch_id}` makes "
            "it again."
        )
    return UsageError(
        f"The folder of {stream} {batch_id} or its meta is gone: `fleetgen verify --all --repair` publishes it again."
    )


def damaged_batch(stream: Stream, batch_id: str) -> DifferenceFound:
    """Say that a batch's files are no longer as they were written."""
    return DifferenceFound(
        f"The files of {stream} {batch_id} are damaged: `fleetgen verify --all --repair` publishes them again."
    )


def require_dataset(dataset: Dataset) -> Manifest:
    """Return the manifest of a dataset that has begun; raise NoDataset otherwise."""
    manifest = dataset.manifest()
    if manifest.origin is None:
        raise NoDataset(dataset.layout.data)
    return manifest
