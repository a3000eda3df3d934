"""How a batch comes to be: made in staging, whole in bronze by one rename, gone without a trace where it is given up."""

import hashlib
import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from fleetgen.domain.batches import Piece
from fleetgen.domain.records import Stream
from fleetgen.errors import InTheWay
from fleetgen.storage.bronze import (
    BatchContent,
    discard_staged,
    finish_batch,
    part_name,
    publish_batch,
    read_meta,
    staged_batch,
    start_batch,
)
from fleetgen.storage.layout import Layout
from support.permits import permitted

BATCH = "20260105T120010Z"


def piece(text: str, **issues: int) -> Piece:
    return Piece(memoryview(text.encode()), b'{"line":1}\n' * sum(issues.values()), Counter(issues))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data")


def staged(
    layout: Layout, rows: tuple[int, ...] = (3,), with_truth: bool = False, two_cores: bool = False
) -> BatchContent:
    folder = layout.staged(Stream.EVENTS)
    start_batch(folder, with_truth)
    return BatchContent(folder, Stream.EVENTS, rows, with_truth, two_cores=two_cores)


def test_a_batch_is_seen_whole_or_not_at_all(layout: Layout) -> None:
    content = staged(layout, with_truth=True)
    content.write_part([piece("a\nb\n", null_value=1), piece("c\n")])
    finish_batch(layout.staged(Stream.EVENTS), {"record_count": 3})
    assert not layout.raw.exists()
    with permitted(layout) as permit:
        publish_batch(permit, layout, layout.staged(Stream.EVENTS), Stream.EVENTS, BATCH)

    folder = layout.batch(Stream.EVENTS, BATCH)
    assert sorted(path.name for path in folder.iterdir()) == ["batch_meta.json", "events.jsonl"]
    assert (folder / "events.jsonl").read_bytes() == b"a\nb\nc\n"
    assert (layout.truth(Stream.EVENTS, BATCH) / "issues.jsonl").read_bytes() == b'{"line":1}\n'
    assert read_meta(layout, Stream.EVENTS, BATCH) == {"record_count": 3}
    assert list(layout.staging.iterdir()) == []


def test_what_is_written_is_counted_and_hashed_over_its_parts(layout: Layout) -> None:
    content = staged(layout, rows=(2, 1))
    content.write_part([piece("a\n", null_value=1), piece("b\n")])
    content.write_part([piece("c\n", duplicate=2)])
    first, second = content.parts
    assert (first.file, first.record_count, first.bytes) == ("events-00000.jsonl", 2, 4)
    assert (second.file, second.record_count, second.bytes) == ("events-00001.jsonl", 1, 2)
    assert first.sha256 == hashlib.sha256(b"a\nb\n").hexdigest()
    assert second.sha256 == hashlib.sha256(b"c\n").hexdigest()
    hashes = f"{first.sha256}\n{second.sha256}\n"
    assert content.sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    assert content.issues == {"null_value": 1, "duplicate": 2}


def test_two_cores_write_and_hash_what_one_does(layout: Layout) -> None:
    pieces = [piece(f"{number}\n" * 100_000) for number in range(10)] + [piece("")]
    made = []
    for two_cores in (False, True):
        content = staged(layout, rows=(500_000, 500_000), two_cores=two_cores)
        content.write_part(pieces[:5])
        content.write_part(pieces[5:])
        written = [path.read_bytes() for path in sorted(staged_batch(layout.staged(Stream.EVENTS)).glob("*.jsonl"))]
        made.append((content.parts, content.sha256, written))
    assert made[0] == made[1]
    assert b"".join(made[0][2]) == b"".join(each.lines for each in pieces)


@pytest.mark.parametrize("two_cores", [False, True])
def test_a_disk_that_refuses_is_told_and_leaves_no_thread(layout: Layout, two_cores: bool) -> None:
    threads = threading.active_count()
    content = staged(layout, two_cores=two_cores)
    (staged_batch(layout.staged(Stream.EVENTS)) / "events.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        content.write_part([piece("a\n")] * 10)
    assert threading.active_count() == threads


def test_an_attempt_begins_without_what_an_earlier_one_left(layout: Layout) -> None:
    staged(layout, with_truth=True).write_part([piece("torn")])
    content = staged(layout)
    content.write_part([piece("a\n")])
    assert sorted(path.name for path in layout.staging.rglob("*")) == ["events.batch", "events.jsonl"]


def test_a_batch_that_was_published_is_not_published_over(layout: Layout) -> None:
    for text in ("first\n", "second\n"):
        staged(layout).write_part([piece(text)])
        finish_batch(layout.staged(Stream.EVENTS), {})
        if text == "second\n":
            with pytest.raises(InTheWay, match=rf"{BATCH} is in the way.*Move it away"), permitted(layout) as permit:
                publish_batch(permit, layout, layout.staged(Stream.EVENTS), Stream.EVENTS, BATCH)
        else:
            with permitted(layout) as permit:
                publish_batch(permit, layout, layout.staged(Stream.EVENTS), Stream.EVENTS, BATCH)
    assert (layout.batch(Stream.EVENTS, BATCH) / "events.jsonl").read_bytes() == b"first\n"


def test_what_is_given_up_leaves_nothing_and_harms_no_other_stream(layout: Layout) -> None:
    staged(layout)
    start_batch(layout.staged(Stream.EVENTS, place=1), False)
    start_batch(layout.staged(Stream.COMPANIES), False)
    discard_staged(layout, Stream.EVENTS)
    assert [path.name for path in layout.staging.iterdir()] == ["companies.batch"]


def test_a_batch_of_one_part_has_the_streams_name() -> None:
    assert [part_name(Stream.EVENTS, 0, parts) for parts in (0, 1, 2)] == ["events.jsonl"] * 2 + ["events-00000.jsonl"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 100_000])
def test_a_damaged_meta_is_told_and_a_missing_one_is_none(layout: Layout, content: str) -> None:
    assert read_meta(layout, Stream.EVENTS, BATCH) is None
    layout.batch(Stream.EVENTS, BATCH).mkdir(parents=True)
    layout.batch_meta(Stream.EVENTS, BATCH).write_text(content)
    with pytest.raises(ValueError, match=r"batch_meta\.json"):
        read_meta(layout, Stream.EVENTS, BATCH)
    layout.batch_meta(Stream.EVENTS, BATCH).write_text(json.dumps({"bytes": 1}))
    assert read_meta(layout, Stream.EVENTS, BATCH) == {"bytes": 1}
