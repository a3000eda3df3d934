"""A round of batches: durable before it is visible, whatever the system can do, and truths before batches."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from fleetgen.domain.records import SECOND, Stream, batch_id, instant, iso
from fleetgen.errors import InTheWay
from fleetgen.storage import rounds
from fleetgen.storage.bronze import discard_truths, finish_batch, staged_batch, staged_truth, start_batch
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import GapEntry, Ledger
from fleetgen.storage.rounds import Place, publish, sync_staged
from support.permits import permitted

NOON = instant("2026-01-01T12:00:00Z")
IDS = [batch_id(NOON + number * SECOND) for number in range(3)]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data")


def staged(layout: Layout, number: int, content: str = "", stream: Stream = Stream.EVENTS) -> Place:
    """A batch in staging, whose meta has the content for its hash, and its truth."""
    folder = layout.staged(stream, number)
    start_batch(folder, with_truth=True)
    (staged_batch(folder) / f"{stream}.jsonl").write_text(content)
    (staged_truth(folder) / "issues.jsonl").write_text(content)
    finish_batch(folder, {"sha256": content}, durable=False)
    return Place(folder, stream, IDS[number], with_truth=True)


@pytest.mark.parametrize("whole", [True, False])
def test_a_round_is_synced_and_published_in_its_order(
    layout: Layout, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not whole:
        monkeypatch.setattr(rounds, "_tells_of_faults", lambda: False)
    places = [staged(layout, number, stream=stream) for number in range(3) for stream in Stream]
    sync_staged(layout, places)
    with permitted(layout) as permit:
        publish(permit, layout, places)
    for stream in Stream:
        assert sorted(path.name for path in layout.stream(stream).iterdir()) == IDS
        assert sorted(path.name for path in layout.truths(stream).iterdir()) == IDS
    assert list(layout.staging.iterdir()) == []


def test_without_a_call_for_the_file_system_every_file_and_folder_is_synced(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = staged(layout, 0)
    synced: list[Path] = []
    monkeypatch.setattr(rounds, "_tells_of_faults", lambda: False)
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    sync_staged(layout, [place])
    folders = (staged_batch(place.folder), staged_truth(place.folder))
    assert set(synced) == {*folders, *(file for folder in folders for file in folder.iterdir())}


@pytest.mark.parametrize(
    ("release", "tells"), [("5.7.0", False), ("5.8.0-rc1", True), ("6.1.0-18-amd64", True), ("x", False)]
)
def test_a_system_that_would_not_tell_of_a_fault_is_not_believed(
    release: str, tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(rounds, "_release", lambda: release)
    assert rounds._tells_of_faults() is tells


def test_the_same_batch_that_a_power_cut_left_is_replaced_and_another_one_is_not(layout: Layout) -> None:
    with permitted(layout) as permit:
        publish(permit, layout, [staged(layout, 1, "same")])
    with permitted(layout) as permit:
        publish(permit, layout, [staged(layout, 0, "first"), staged(layout, 1, "same")])
    assert sorted(path.name for path in layout.stream(Stream.EVENTS).iterdir()) == IDS[:2]
    with pytest.raises(InTheWay, match="is in the way"), permitted(layout) as permit:
        publish(permit, layout, [staged(layout, 1, "other")])
    assert (layout.batch(Stream.EVENTS, IDS[1]) / "events.jsonl").read_text() == "same"


def test_truths_without_a_batch_go_from_the_head_on(layout: Layout) -> None:
    with permitted(layout) as permit:
        publish(permit, layout, [staged(layout, number) for number in range(3)])
    for name in (IDS[0], IDS[2]):
        shutil.rmtree(layout.batch(Stream.EVENTS, name))
    discard_truths(layout, Stream.EVENTS, IDS[1])
    assert sorted(path.name for path in layout.truths(Stream.EVENTS).iterdir()) == IDS[:2]


def gap(number: int) -> GapEntry:
    start, end = iso(NOON + number * SECOND), iso(NOON + (number + 1) * SECOND)
    return GapEntry(start=start, end=end, segment=1, company_count=0, reason="paused", intervals=1)


@pytest.mark.parametrize("lacking", [0, 1, 3, 100, 400])
def test_a_ledger_tells_all_lines_after_an_instant(tmp_path: Path, lacking: int) -> None:
    ledger = Ledger(tmp_path / "ledger" / "events.jsonl")
    assert ledger.after(NOON) == []
    lines = [gap(number) for number in range(400)]
    ledger.append(*lines)
    assert ledger.after(NOON + (400 - lacking) * SECOND) == lines[400 - lacking :]
