"""Owns the ledgers: for each stream an append-only file with one line per decided interval, a batch or a gap.

Its lines follow each other in time without a hole. What is decided, and when it is written, is left to `generation`.
"""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from fleetgen.domain.records import SCHEMA_VERSION, Interval, instant
from fleetgen.errors import ManifestError
from fleetgen.storage.files import make_folder, sync_folder

GapReason = Literal["paused", "backpressure", "downtime", "disk", "fault"]
"""A pause; a backlog; nobody ran; the disk kept a running process from making batches, or something else did."""

_TAIL_BYTES = 8192
_PIECE_BYTES = 1 << 20


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    start: str
    end: str
    segment: int
    company_count: int
    """Companies in reach of a batch of events; otherwise the companies there are at the interval's end."""

    @cached_property
    def interval(self) -> Interval:
        return Interval(instant(self.start), instant(self.end))


class BatchEntry(_Entry):
    """A published batch: its inputs, its counts and its hash."""

    kind: Literal["batch"] = "batch"
    batch_number: int
    batch_id: str
    mode: str
    record_count: int
    valid_count: int
    corrupted_count: int
    issue_counts: dict[str, int] = Field(default_factory=dict)
    bytes: int
    parts: int
    sha256: str
    schema_version: int = Field(default=1, ge=1, le=SCHEMA_VERSION)
    """Version of the files' layout, which tells what `sha256` is of; the first did not say so."""


class GapEntry(_Entry):
    """An interval, or several in a row, in which nothing was made."""

    kind: Literal["gap"] = "gap"
    reason: GapReason
    intervals: int
    detail: str | None = None
    """What kept a running process from making them; absent for other reasons."""


Entry = Annotated[BatchEntry | GapEntry, Field(discriminator="kind")]
_ENTRY: TypeAdapter[BatchEntry | GapEntry] = TypeAdapter(Entry)


class Ledger:
    """One stream's ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, *entries: BatchEntry | GapEntry) -> None:
        """Add lines durably; a crash leaves the first so many of them."""
        make_folder(self.path.parent)
        new = not self.path.exists()
        with self.path.open("ab") as file:
            for entry in entries:
                file.write(entry.model_dump_json(exclude_none=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)

    def last(self) -> BatchEntry | GapEntry | None:
        """Return the last whole line."""
        lines = self._tail_lines(self._size())
        return self._parse(lines[-1]) if lines else None

    def entries(self) -> Iterator[BatchEntry | GapEntry]:
        """Yield all lines, oldest first; a torn last line is left out."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield self._parse(line)

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole file in pieces of about a mebibyte, each of whole lines; a torn last line is left out."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            while lines := file.read(_PIECE_BYTES):
                lines += file.readline()  # up to the end of its last line
                yield lines[: lines.rfind(b"\n") + 1]

    def plain(self, piece: bytes) -> list[dict[str, Any]]:
        """Return the lines of a piece as JSON has them, not checked; raise ValueError if that is none."""
        values: list[dict[str, Any]] = from_json(
            b"[" + piece.rstrip().replace(b"\n", b",") + b"]", cache_strings="keys"
        )
        return values

    def checked(self, piece: bytes) -> Iterator[BatchEntry | GapEntry]:
        """Yield the lines of a piece, checked: many times slower."""
        return (self._parse(line) for line in piece.splitlines())

    def ranges(self, size_bytes: int) -> Iterator[tuple[int, int]]:
        """Yield where ranges of about this size begin and end, each with whole lines; a torn last line is left out."""
        size, start = self._size(), 0
        while start < size:
            with self.path.open("rb") as file:
                end, line = self._line_from(file, min(size, start + size_bytes))
                end = end if line else self._whole_size(file, size)
            if end <= start:
                return
            yield start, end
            start = end

    def entries_between(self, start: int, end: int) -> Iterator[BatchEntry | GapEntry]:
        """Yield the lines of such a range."""
        with self.path.open("rb") as file:
            file.seek(start)
            lines = file.read(end - start).splitlines()
        return (self._parse(line) for line in lines)

    def batches(self) -> Iterator[BatchEntry]:
        """Yield the batches, oldest first."""
        return (entry for entry in self.entries() if isinstance(entry, BatchEntry))

    def newest_batches(self, count: int) -> list[BatchEntry]:
        """Return the newest batches, oldest first, reading no more of the file than they take."""
        found = self._newest_where(lambda entry: isinstance(entry, BatchEntry), count)
        return [entry for entry in found if isinstance(entry, BatchEntry)]

    def newest_by(self, moment: int, count: int) -> list[BatchEntry | GapEntry]:
        """Return the newest lines whose intervals end by an instant, oldest first, and at most so many."""
        return self._newest_where(lambda entry: entry.interval.end <= moment, count)

    def _newest_where(self, suits: Callable[[BatchEntry | GapEntry], bool], count: int) -> list[BatchEntry | GapEntry]:
        size, wanted = self._size(), max(1, count) * 600
        while True:
            found = [entry for entry in self._newest(size, wanted) if suits(entry)]
            if len(found) >= count or wanted >= size:
                return found[-count:] if count else []
            wanted *= 4

    def _newest(self, size: int, wanted: int) -> list[BatchEntry | GapEntry]:
        return [self._parse(line) for line in self._tail_lines(size, wanted)]

    def batches_from(self, number: int, count: int) -> list[BatchEntry]:
        """Return so many batches from this number on, as far as there are; costs a bisection and what is read."""
        if not (size := self._size()):
            return []
        found: list[BatchEntry] = []
        with self.path.open("rb") as file:
            file.seek(self._offset_before(file, number, size))
            for line in file:
                if len(found) == count or not line.endswith(b"\n"):
                    break
                entry = self._parse(line)
                if isinstance(entry, BatchEntry) and entry.batch_number >= number:
                    found.append(entry)
        return found

    def starting_at(self, moment: int) -> BatchEntry | GapEntry | None:
        """Return the line whose interval starts at or next after an instant; costs a bisection."""
        size = self._size()
        return self._bisect(lambda entry: entry.interval.start < moment, size)[1] if size else None

    def after(self, moment: int) -> list[BatchEntry | GapEntry]:
        """Return the lines whose intervals end after an instant, oldest first, reading no more of the file than they take."""
        size, wanted = self._size(), _TAIL_BYTES
        while True:
            lines = self._newest(size, wanted)
            if wanted >= size or (lines and lines[0].interval.end <= moment):
                return [entry for entry in lines if entry.interval.end > moment]
            wanted *= 4

    def ended_by(self, moment: int) -> BatchEntry | GapEntry | None:
        """Return the newest line whose interval ended at or before this instant.

        Costs one read near the end of the file as long as the answer is there, and a bisection otherwise.
        """
        size = self._size()
        lines = [self._parse(line) for line in self._tail_lines(size)]
        ended = [entry for entry in lines if entry.interval.end <= moment]
        if ended or not size:
            return ended[-1] if ended else None
        return self._bisect(lambda entry: entry.interval.end <= moment, size)[0]

    def repair(self) -> bool:
        """Cut off a torn last line; return whether there was one."""
        size = self._size()
        if not size:
            return False
        with self.path.open("r+b") as file:
            whole = self._whole_size(file, size)
            if whole == size:
                return False
            file.truncate(whole)
            os.fsync(file.fileno())
        return True

    def _whole_size(self, file: BinaryIO, size: int) -> int:
        end = size
        while end > 0:
            start = max(0, end - _TAIL_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return 0

    def _bisect(
        self, is_before: Callable[[BatchEntry | GapEntry], bool], size: int
    ) -> tuple[BatchEntry | GapEntry | None, BatchEntry | GapEntry | None]:
        """Return the last line that is before something and the first that is not; of those in between none is read."""
        last = first = None
        low, high = 0, size
        with self.path.open("rb") as file:
            while low < high:
                middle = (low + high) // 2
                start, line = self._line_from(file, middle)
                entry = self._parse(line) if line else None
                if entry is not None and is_before(entry):
                    last, low = entry, start + len(line)
                else:
                    first, high = entry, middle
        return last, first

    def _offset_before(self, file: BinaryIO, number: int, size: int) -> int:
        """Return where a line starts that stands not far before the batch with this number, or 0."""
        low, high = 0, size
        while high - low > _TAIL_BYTES:
            middle = (low + high) // 2
            start, entry = self._batch_after(file, middle)
            if entry is not None and entry.batch_number < number:
                low = start
            else:
                high = middle
        return low

    def _batch_after(self, file: BinaryIO, offset: int) -> tuple[int, BatchEntry | None]:
        """Return the first batch that starts at or after an offset, and where it starts; gaps are passed over."""
        start, line = self._line_from(file, offset)
        while line:
            entry = self._parse(line)
            if isinstance(entry, BatchEntry):
                return start, entry
            start, line = self._line_from(file, start + len(line))
        return start, None

    def _line_from(self, file: BinaryIO, offset: int) -> tuple[int, bytes]:
        """Return the first line that starts at or after an offset, and where it starts."""
        file.seek(max(0, offset - 1))
        if offset > 0:
            file.readline()
        start = file.tell()
        line = file.readline()
        return start, line if line.endswith(b"\n") else b""

    def _tail_lines(self, size: int, wanted: int = _TAIL_BYTES) -> list[bytes]:
        """Return the whole lines within the last bytes of the file."""
        if not size:
            return []
        start = max(0, size - wanted)
        with self.path.open("rb") as file:
            file.seek(start)
            lines = file.read(size - start).split(b"\n")[:-1]
        return lines[1:] if start else lines

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _parse(self, line: bytes) -> BatchEntry | GapEntry:
        try:
            return _ENTRY.validate_json(line)
        except ValidationError as fault:
            raise ManifestError(
                f"{self.path} has a line that is no entry: {line[:80]!r}. Stop the set, move that file away, and start "
                "the set again: the ledger is made anew from the batches."
            ) from fault
