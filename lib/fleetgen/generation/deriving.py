"""Owns the files that follow from published batches: the summary of the events, the one file of all companies, the note.

They are conveniences: made after the commit, not durably, and put right by whoever publishes next. What keeps one from
being made never holds up a batch.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.errors import FleetgenError
from fleetgen.generation import recording
from fleetgen.generation.checking import remake
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.recording import data_files
from fleetgen.storage.files import replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Head, Manifest
from fleetgen.storage.reading import read_json

_READ_BYTES = 1 << 20
_NEWEST = 1024
"""The file of all companies is completed if it lacks at most so many batches, and otherwise made anew."""

_FIRST_WAIT, _LONGEST_WAIT = 10 * SECOND, 600 * SECOND


class Derived:
    """The files that follow from one stream's batches, as the one process that makes the stream keeps them."""

    def __init__(self, dataset: Dataset, stream: Stream, beat: Callable[[], None] = lambda: None) -> None:
        self._dataset, self._stream, self._beat = dataset, stream, beat
        self.trouble: Exception | None = None
        """What keeps a file from following; it is tried again, ever more slowly."""
        self.failures = 0
        """How often one could not be made to follow."""
        self._wait, self._not_before = _FIRST_WAIT, 0

    def is_due(self, now: int) -> bool:
        """Whether what failed is to be tried again."""
        return self.trouble is not None and self._may_try(now)

    def follow(self, manifest: Manifest, at: int, *entries: BatchEntry) -> None:
        """Let the files follow the manifest, in which these batches were just recorded; what fails is kept as trouble."""
        if manifest.origin is None or not self._may_try(at):
            return
        try:
            _follow(self._dataset, manifest, self._stream, entries, at, self._beat)
        except (OSError, ValueError, FleetgenError) as fault:
            self.trouble, self.failures = fault, self.failures + 1
            self._not_before, self._wait = at + self._wait, min(2 * self._wait, _LONGEST_WAIT)
        else:
            self.trouble, self._wait, self._not_before = None, _FIRST_WAIT, 0

    def _may_try(self, now: int) -> bool:
        return not now < self._not_before <= now + _LONGEST_WAIT  # farther away only if the clock was set back


def put_right(dataset: Dataset) -> None:
    """Write anew what a crash kept from following the last batches; raises what keeps it from being written."""
    manifest = dataset.manifest()
    for stream in Stream:
        _follow(dataset, manifest, stream, (), manifest.head(stream).stands_at)


def _follow(
    dataset: Dataset,
    manifest: Manifest,
    stream: Stream,
    entries: Sequence[BatchEntry],
    at: int,
    beat: Callable[[], None] = lambda: None,
) -> None:
    _keep_note(dataset, manifest)
    head = manifest.head(stream)
    if stream is Stream.COMPANIES:
        _Companies(dataset, manifest, beat).follow(entries)
    elif head.next_batch and (entries or _summed_up(dataset.layout) != _summary(head)):
        _write_summary(dataset.layout, head, at)


def _keep_note(dataset: Dataset, manifest: Manifest) -> None:
    """Write what the dataset is, once; both streams' processes do, without a lock."""
    note = dataset.layout.dataset_note
    if note.exists():
        return
    try:
        recording.write_dataset_note(dataset.layout, manifest, dataset.segments(manifest)[0])
    except FileNotFoundError:
        if not note.exists():  # where it exists, the other process was first, and has tidied up
            raise


def _summary(head: Head) -> dict[str, object]:
    return {"last_batch_id": head.last_batch_id, "total_events": head.totals.records}


def _summed_up(layout: Layout) -> dict[str, object]:
    """Return what the summary says apart from the clock; nothing where it cannot be read."""
    try:
        found = read_json(layout.batch_manifest)
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if key != "last_updated"} if isinstance(found, dict) else {}


def _write_summary(layout: Layout, head: Head, at: int) -> None:
    summary = {**_summary(head), "last_updated": iso(at)}
    replace_file(layout.batch_manifest, json.dumps(summary, indent=1).encode() + b"\n", durable=False)


class _Companies:
    """The one file of all companies, which has the lines of all batches in order."""

    def __init__(self, dataset: Dataset, manifest: Manifest, beat: Callable[[], None]) -> None:
        self._dataset, self._manifest, self._beat = dataset, manifest, beat
        self._path = dataset.layout.all_companies
        self._total = manifest.head(Stream.COMPANIES).totals.bytes

    def follow(self, entries: Sequence[BatchEntry]) -> None:
        """Add these batches; if the file lacks others, complete it, and if it is off otherwise, make it anew."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size == self._total:
            return
        if size == self._total - sum(entry.bytes for entry in entries):
            self._append(entries, size)
        elif missing := self._missing(size):
            self._append(missing, self._total - sum(entry.bytes for entry in missing))
        else:
            self._rewrite()

    def _missing(self, size: int) -> list[BatchEntry]:
        """Return the batches that the file lacks or has a torn part of; none where that cannot be told cheaply.

        The batch before them shows whether the file is right up to there.
        """
        head = self._manifest.head(Stream.COMPANIES)
        first = max(0, head.next_batch - _NEWEST)
        known = self._dataset.ledgers[Stream.COMPANIES].batches_from(first, head.next_batch - first)
        ends_at = self._total
        for place in range(len(known) - 1, -1, -1):
            ends_at -= known[place].bytes
            if ends_at <= size:
                right = ends_at == 0 or (place > 0 and self._has(known[place - 1], ends_at))
                return known[place:] if right else []
        return []

    def _has(self, entry: BatchEntry, ends_at: int) -> bool:
        """Whether the file has a batch's lines where they should end."""
        with self._path.open("rb") as file:
            file.seek(ends_at - entry.bytes)
            return all(file.read(len(piece)) == piece for piece in self._lines(entry))

    def _append(self, entries: Iterable[BatchEntry], size: int) -> None:
        """Add batches behind so many bytes; a fault leaves no part of them."""
        with self._path.open("ab") as target:
            target.truncate(size)
            try:
                self._write(target.write, entries)
                target.flush()
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(target.fileno(), size)
                raise

    def _rewrite(self) -> None:
        temporary = self._dataset.layout.raw / ".companies.jsonl.new"
        try:
            with temporary.open("wb") as target:
                self._write(target.write, self._dataset.ledgers[Stream.COMPANIES].batches())
            temporary.replace(self._path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def _write(self, write: Callable[[bytes], object], entries: Iterable[BatchEntry]) -> None:
        for entry in entries:
            for piece in self._lines(entry):
                write(piece)
            self._beat()

    def _lines(self, entry: BatchEntry) -> Iterator[bytes]:
        """Yield the content of a batch, in pieces; one that was pruned, deleted or damaged is made again."""
        folder = self._dataset.layout.batch(Stream.COMPANIES, entry.batch_id)
        with suppress(FileNotFoundError, NotADirectoryError):
            files = data_files(folder, Stream.COMPANIES)
            if sum(file.stat().st_size for file in files) == entry.bytes:
                yield from (piece for file in files for piece in _pieces(file))
                return
        _, batch = remake(self._dataset, self._manifest, Stream.COMPANIES, entry)
        yield from (bytes(piece.lines) for blocks in batch.parts() for piece in batch.pieces(blocks))


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(_READ_BYTES):
            yield piece
