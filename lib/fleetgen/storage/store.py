"""Owns the manifest's file: read without the lock (a reader sees the old content or the new), changed only under it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleetgen.errors import DamagedManifest, DatasetChanged, ManifestError, NotYet
from fleetgen.storage.files import replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.locks import LOCK_TIMEOUT_SECONDS, FileLock
from fleetgen.storage.manifest import MANIFEST_VERSION, Manifest, empty_manifest
from fleetgen.storage.permits import Permit
from fleetgen.storage.progress import Progress, unwatched
from fleetgen.storage.reading import parse_json


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
