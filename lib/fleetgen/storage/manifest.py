"""Owns the manifest: desired state, segments and each stream's head, in one file that processes share under a lock.

It is read without the lock (a reader sees the old content or the new) and changed only within `ManifestStore.locked`.
What may be written when is left to `generation`.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleetgen.domain.records import Stream
from fleetgen.errors import DamagedManifest, DatasetChanged, ManifestError, NotYet
from fleetgen.storage.files import replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import GapReason
from fleetgen.storage.locks import LOCK_TIMEOUT_SECONDS, FileLock
from fleetgen.storage.permits import Permit
from fleetgen.storage.progress import Progress, unwatched
from fleetgen.storage.reading import parse_json

MANIFEST_VERSION = 7
"""Version 2 added `rebuilt_at`, 3 the totals of issues, 4 consumers and re-initialisations, 5 the gaps' reason `fault`,
6 what became of a consumer's lines, 7 since when a consumer is waited for, where those that left stand, and scores.

All are empty in older ones.
"""

MOST_CONSUMERS = 32


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def updated(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return self.model_copy(update=changes)


class Totals(_Part):
    """What a stream has published since the dataset began."""

    batches: dict[str, int] = Field(default_factory=dict)
    """Batches by mode."""
    records: int = 0
    bytes: int = 0
    missed: dict[GapReason, int] = Field(default_factory=dict)
    """Intervals in gaps, by reason."""
    backfilled: int = 0
    issues: dict[str, int] = Field(default_factory=dict)
    """Records with an issue, by its type."""


class Head(_Part):
    """Where a stream stands. Instants are microseconds since the epoch."""

    stands_at: int = 0
    """End of the last decided interval: the watermark."""
    next_batch: int = 0
    next_company: int = 0
    """Number of the next company; 0 in the stream of events."""
    last_batch_id: str | None = None
    last_published_at: int | None = None
    totals: Totals = Totals()


class SegmentEntry(_Part):
    """A segment's place in the dataset; its settings are in its own file."""

    number: int
    instant: int
    algorithm: int
    digest: str
    first_company_batch: int
    first_company: int
    first_event_batch: int


class Desired(_Part):
    """What people asked for."""

    paused: bool = False
    paused_at: int | None = None
    resumed_at: int | None = None
    pause_reason: str | None = None

    def as_of(self, now: int) -> "Desired":
        """Return what is asked for now: a pause that ends in the future was ended while the clock was ahead, and is over."""
        ahead = not self.paused and self.resumed_at is not None and self.resumed_at > now
        return self.updated(paused_at=None, resumed_at=None) if ahead else self

    def paused_when(self, moment: int) -> bool:
        """Whether the last pause covers this instant."""
        if self.paused_at is None or moment < self.paused_at:
            return False
        return self.paused or (self.resumed_at is not None and moment < self.resumed_at)


class Latencies(_Part):
    """Seconds that a consumer's last batch took."""

    bronze_to_silver: float
    silver_to_gold: float
    end_to_end: float


class ScoreTold(_Part):
    """How well a consumer rejects, over the newest of its batches."""

    batches: int
    recall: dict[str, float]
    """Share of the records with an issue that were rejected, by issue type; types that did not occur are left out."""
    overall_recall: float | None
    precision: float | None
    """Share of the rejected records that have an issue; None where none was rejected."""
    misses: int
    false_alarms: int
    collateral: int
    """Rejected events without an issue whose company's own record has one."""


class Outcome(_Part):
    """What has become of the lines that a consumer has taken over, since the dataset began."""

    lines: dict[Stream, dict[str, int]]
    """Lines of each stream by outcome: ``accepted``, ``quarantined``, ``duplicate``."""
    rules: dict[str, int]
    """Rejected lines by the rule that rejected them."""
    score: ScoreTold | None = None


class Consumer(_Part):
    """A pipeline that acknowledges the batches it has taken over."""

    acknowledged: dict[Stream, int] = Field(default_factory=dict)
    """Number of the newest batch it has, by stream."""
    waited_from: dict[Stream, int] = Field(default_factory=dict)
    """Number of the first batch that is waited for, of streams of which it has not acknowledged any yet."""
    acknowledged_at: int | None = None
    latencies: Latencies | None = None
    outcome: Outcome | None = None

    def has(self, stream: Stream) -> int:
        """Return the number of the newest batch that it has, or that was there before it was waited for; -1 for none."""
        return self.acknowledged.get(stream, self.waited_from.get(stream, 0) - 1)


class Reinitialisation(_Part):
    """How often a resume found an empty dataset and had it begun anew, and the last time that it did."""

    count: int = 0
    at: int | None = None
    actions: tuple[str, ...] = ()
    missing_files: tuple[str, ...] = ()


class Manifest(_Part):
    """The shared state of one dataset. Its size does not depend on the number of batches."""

    schema_version: int = MANIFEST_VERSION
    dataset_id: str
    origin: int | None = None
    """The instant of the first start; None while the dataset is empty."""
    drawn_seed: int | None = None
    """The seed, where the configuration leaves it to be drawn."""
    segments: tuple[SegmentEntry, ...] = ()
    heads: dict[Stream, Head] = Field(default_factory=lambda: {stream: Head() for stream in Stream})
    desired: Desired = Desired()
    cleaning: str | None = None
    """Name of the trash folder while a clean is under way."""
    rebuilt_at: int | None = None
    """When the manifest was last made anew from the other files."""
    consumers: dict[str, Consumer] = Field(default_factory=dict)
    departed: dict[str, Consumer] = Field(default_factory=dict)
    """Consumers that have left, the latest to leave last: what they have not acknowledged is kept for them."""
    reinitialised: Reinitialisation = Reinitialisation()

    def backlog(self, consumer: str, stream: Stream) -> int:
        """Return how many published batches a consumer has not acknowledged."""
        known = self.consumers.get(consumer, Consumer())
        return max(0, self.head(stream).next_batch - 1 - known.has(stream))

    def head(self, stream: Stream) -> Head:
        return self.heads[stream]

    def with_head(self, stream: Stream, head: Head) -> "Manifest":
        """Return the manifest with this head for the stream."""
        return self.updated(heads={**self.heads, stream: head})


def empty_manifest() -> Manifest:
    """Return the manifest of a new, empty dataset."""
    return Manifest(dataset_id=os.urandom(16).hex())


class ManifestStore:
    """Reads and replaces the manifest of one data directory.

    ``rebuild`` makes a lost or damaged one anew from other files; None if there is nothing to make it from. ``progress``
    is called while the lock is waited for.
    """

    def __init__(
        self, layout: Layout, rebuild: Callable[[], Manifest | None] = lambda: None, progress: Progress = unwatched
    ) -> None:
        self.path: Path = layout.manifest
        self._rebuild, self._progress = rebuild, progress
        self.lock = FileLock(layout.manifest_lock)
        self._seen: tuple[bytes, Manifest] | None = None

    def read(self) -> Manifest | None:
        """Return the manifest, or None where there is none; parses it only if its bytes have changed.

        Times, inode and size prove nothing: two replacements within one tick of the disk's clock can leave all three
        as they were.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if self._seen is None or self._seen[0] != content:
            self._seen = (content, self._parse(content))
        return self._seen[1]

    @contextmanager
    def locked(
        self, timeout_seconds: float = LOCK_TIMEOUT_SECONDS, interrupted: Callable[[], bool] = lambda: False
    ) -> Iterator["Transaction"]:
        """Hold the lock for a block that may change the manifest; raise NotYet if it cannot be had in time."""

        def asked() -> bool:
            self._progress()
            return interrupted()

        try:
            self.lock.acquire(timeout_seconds, asked)
        except NotYet as fault:
            raise NotYet(f"The manifest stayed locked for {timeout_seconds:g} s: {fault} Try again.") from fault
        try:
            self.lock.sign()
            yield Transaction(self, self._whole())
        finally:
            self.lock.release()

    def _whole(self) -> Manifest:
        """Return the manifest; one that is lost or damaged is made anew and written."""
        try:
            manifest = self.read()
        except DamagedManifest:
            manifest = None
        if manifest is None and (manifest := self._rebuild()) is not None:
            self.write(manifest)
        return manifest or empty_manifest()

    def write(self, manifest: Manifest) -> None:
        """Replace the file durably."""
        replace_file(self.path, manifest.model_dump_json(indent=1).encode() + b"\n")

    def _parse(self, content: bytes) -> Manifest:
        try:
            values = parse_json(content, self.path)
            version = values["schema_version"]
        except (ValueError, KeyError, TypeError) as fault:
            raise DamagedManifest(f"{self.path} is damaged: it is no JSON object with a schema_version.") from fault
        if not isinstance(version, int) or version > MANIFEST_VERSION:
            raise ManifestError(
                f"{self.path} has schema version {version!r}; this fleetgen knows versions up to {MANIFEST_VERSION}. "
                "Use the fleetgen that wrote it, or another data directory."
            )
        try:
            return Manifest.model_validate_json(json.dumps(_migrated(values, version)))
        except ValidationError as fault:
            wrong = ", ".join(".".join(map(str, error["loc"])) for error in fault.errors())
            raise DamagedManifest(f"{self.path} is damaged at {wrong}.") from fault


def _migrated(values: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a manifest's values as the present version has them."""
    if version < 2:
        values = {**values, "rebuilt_at": None}
    return {**values, "schema_version": MANIFEST_VERSION}


class Transaction:
    """The manifest under its lock: `save` makes a change durable at once."""

    def __init__(self, store: ManifestStore, manifest: Manifest) -> None:
        self._store = store
        self.manifest = manifest

    def permit(self, dataset_id: str) -> Permit:
        """Give leave to publish into this dataset for as long as the lock is held; raise DatasetChanged for another one."""
        if self.manifest.dataset_id != dataset_id:
            raise DatasetChanged
        return Permit(self._store.lock)

    def save(self, manifest: Manifest) -> Manifest:
        """Write the manifest, if it differs."""
        if manifest != self.manifest or not self._store.path.exists():
            self._store.write(manifest)
            self.manifest = manifest
        return manifest
