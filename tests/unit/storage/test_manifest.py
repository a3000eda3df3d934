"""The manifest as a file: read without its lock, changed under it, refused or made anew if it is damaged."""

import json
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import DamagedManifest, ManifestError, NotYet
from fleetgen.storage.layout import Layout
from fleetgen.storage.manifest import MANIFEST_VERSION, Consumer, Head, empty_manifest
from fleetgen.storage.store import ManifestStore


@pytest.fixture
def store(tmp_path: Path) -> ManifestStore:
    (tmp_path / "manifests").mkdir()
    return ManifestStore(Layout(tmp_path))


def test_a_change_is_on_the_disk_at_once_and_seen_by_others(store: ManifestStore, tmp_path: Path) -> None:
    assert store.read() is None
    with store.locked() as transaction:
        changed = transaction.save(transaction.manifest.with_head(Stream.EVENTS, Head(next_batch=7)))
        assert ManifestStore(Layout(tmp_path)).read() == changed
    assert changed.head(Stream.EVENTS).next_batch == 7
    assert changed.head(Stream.COMPANIES) == Head()


def test_what_does_not_change_is_not_written(store: ManifestStore) -> None:
    with store.locked() as transaction:
        transaction.save(transaction.manifest)
    before = store.path.stat()
    with store.locked() as transaction:
        transaction.save(transaction.manifest.updated(origin=None))
    assert store.path.stat().st_ino == before.st_ino


def test_a_manifest_that_is_locked_is_not_changed_and_can_be_read(store: ManifestStore, tmp_path: Path) -> None:
    other = ManifestStore(Layout(tmp_path))
    with store.locked() as transaction:
        transaction.save(empty_manifest())
        assert other.read() == transaction.manifest
        with pytest.raises(NotYet, match=r"stayed locked for 0\.1 s.*Try again"), other.locked(0.1):
            pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"{}", b"\xff", b"[" * 100_000, b'{"schema_version": 1}'])
def test_damage_is_told_to_who_reads_and_mended_for_who_writes(
    store: ManifestStore, tmp_path: Path, content: bytes
) -> None:
    store.path.write_bytes(content)
    with pytest.raises(DamagedManifest, match="is damaged"):
        store.read()
    anew = empty_manifest()
    mending = ManifestStore(Layout(tmp_path), rebuild=lambda: anew)
    with mending.locked() as transaction:
        assert transaction.manifest == anew
    assert store.read() == anew


@pytest.mark.parametrize("version", [MANIFEST_VERSION + 1, "4", None])
def test_a_manifest_of_another_kind_is_refused_and_left_alone(store: ManifestStore, version: object) -> None:
    text = json.dumps({"schema_version": version})
    store.path.write_text(text)
    with pytest.raises(ManifestError, match="schema version"), store.locked():
        pass
    assert store.path.read_text() == text


@pytest.mark.parametrize("version", range(2, MANIFEST_VERSION))
def test_an_older_manifest_is_read_as_the_present_version(store: ManifestStore, version: int) -> None:
    values = json.loads(empty_manifest().model_dump_json()) | {"schema_version": version}
    store.path.write_text(json.dumps(values))
    read = store.read()
    assert read is not None
    assert (read.schema_version, read.dataset_id) == (MANIFEST_VERSION, values["dataset_id"])


def test_a_backlog_is_what_is_published_and_not_acknowledged() -> None:
    consumers = {"mine": Consumer(acknowledged={Stream.EVENTS: 4}), "ahead": Consumer(acknowledged={Stream.EVENTS: 99})}
    manifest = empty_manifest().with_head(Stream.EVENTS, Head(next_batch=10)).updated(consumers=consumers)
    assert manifest.backlog("mine", Stream.EVENTS) == 5
    assert manifest.backlog("unknown", Stream.EVENTS) == 10
    assert manifest.backlog("ahead", Stream.EVENTS) == 0
    assert manifest.backlog("mine", Stream.COMPANIES) == 0
