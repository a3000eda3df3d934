"""Making a batch's files in a staging folder: the same each time, emptied before, given up at any chunk."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import ISSUE_TYPES, Quality, Stream
from fleetgen.generation.recording import CLOCK_KEYS, clock_meta
from fleetgen.generation.staging import finish, stage
from fleetgen.machine import processors
from fleetgen.storage.bronze import TRUTH_FILE, staged_batch, staged_truth
from fleetgen.storage.reading import read_json
from support.domain_cases import QUARTER, emulated, only_segment

DIRTY = Quality(0.5, 0.5, dict.fromkeys(ISSUE_TYPES, 1.0))


def inputs(stream: Stream, quality: Quality | None = None) -> BatchInputs:
    segment = only_segment(emulated(quality=quality))
    return BatchInputs(stream, 3, QUARTER, segment, (segment,), company_count=20)


@pytest.mark.parametrize("stream", Stream)
def test_the_meta_tells_what_lies_in_the_folder(tmp_path: Path, stream: Stream) -> None:
    staged = stage(tmp_path / "one", inputs(stream))
    content = (staged_batch(staged.folder) / f"{stream}.jsonl").read_bytes()
    assert staged.meta["sha256"] == hashlib.sha256(content).hexdigest()
    assert (staged.meta["bytes"], staged.meta["record_count"]) == (len(content), content.count(b"\n"))
    assert set(staged.phases) == {"generate", "encode"}
    assert not staged_truth(staged.folder).exists()


def test_the_same_inputs_give_the_same_bytes_whatever_lay_there_before(tmp_path: Path) -> None:
    first = stage(tmp_path / "one", inputs(Stream.EVENTS, DIRTY))
    (staged_batch(first.folder) / "events-00007.jsonl").write_text("of an attempt that was killed\n")
    again = stage(tmp_path / "one", inputs(Stream.EVENTS, DIRTY))
    assert again.meta == first.meta
    assert [path.name for path in staged_batch(again.folder).iterdir()] == ["events.jsonl"]


def test_what_was_injected_lies_beside_the_batch(tmp_path: Path) -> None:
    staged = stage(tmp_path / "one", inputs(Stream.EVENTS, DIRTY))
    truth = (staged_truth(staged.folder) / TRUTH_FILE).read_bytes()
    assert truth.count(b"\n") == staged.meta["corrupted_count"] > 0


def test_a_batch_is_given_up_where_its_progress_says_so(tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        stage(tmp_path / "one", inputs(Stream.EVENTS), progress=stop)
    assert not (staged_batch(tmp_path / "one") / "batch_meta.json").exists()


def test_the_meta_on_disk_has_the_clock_too(tmp_path: Path) -> None:
    staged = stage(tmp_path / "one", inputs(Stream.COMPANIES))
    finish(staged, clock_meta(QUARTER.end, QUARTER.end, QUARTER.end))
    told = read_json(staged_batch(tmp_path / "one") / "batch_meta.json")
    assert {key: value for key, value in told.items() if key not in CLOCK_KEYS} == staged.meta
    assert set(CLOCK_KEYS) <= set(told)


@pytest.mark.parametrize("cores", [1, 2])
def test_a_large_batch_is_the_same_on_one_core_and_on_two(tmp_path: Path, cores: int) -> None:
    usable = os.sched_getaffinity(0)
    if len(usable) < cores:
        pytest.skip("this machine has but one core for us")
    segment = only_segment(emulated(events_per_batch=(40_000, 40_000)))
    batch = BatchInputs(Stream.EVENTS, 3, QUARTER, segment, (segment,), company_count=20)
    names: set[str] = set()

    os.sched_setaffinity(0, set(sorted(usable)[:cores]))
    try:
        staged = stage(tmp_path, batch, progress=lambda: names.update(each.name for each in threading.enumerate()))
    finally:
        os.sched_setaffinity(0, usable)

    content = (staged_batch(staged.folder) / "events.jsonl").read_bytes()
    assert staged.meta["sha256"] == hashlib.sha256(content).hexdigest()
    assert any(name.startswith("hashing") for name in names) == (cores > 1 and processors() > 1)
