"""What an executor does, without Spark: it stages, each attempt in a place of its own, or says why not."""

import pickle
from pathlib import Path

import pytest

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import Stream
from fleetgen.errors import CannotCreate
from fleetgen.generation.spark.tasks import Block, Failed, NotShared, Run, machine, own_folder, stage_blocks
from fleetgen.generation.staging import stage
from fleetgen.storage.bronze import staged_batch
from support.domain_cases import QUARTER, emulated, only_segment

pytest.importorskip("pyspark", reason="a task asks pyspark which attempt it is; `make test-spark` installs it")


def a_run(folder: Path) -> Run:
    mark = folder / "events-spark-abc.mark"
    mark.mkdir()
    return Run(mark, machine())


def a_block(folder: Path) -> Block:
    segment = only_segment(emulated())
    made = [BatchInputs(Stream.EVENTS, number, QUARTER, segment, (segment,), company_count=20) for number in (3, 4)]
    return [(folder / f"events-{each.number}", each) for each in made]


def test_a_task_stages_the_bytes_that_others_make(tmp_path: Path) -> None:
    block = a_block(tmp_path)
    (answer,) = stage_blocks(a_run(tmp_path), iter([block]))
    assert isinstance(answer, list)
    for made, (_, inputs) in zip(answer, block, strict=True):
        expected = stage(tmp_path / "alone", inputs)
        assert made.meta == expected.meta
        found, wanted = (staged_batch(folder) / "events.jsonl" for folder in (made.folder, expected.folder))
        assert found.read_bytes() == wanted.read_bytes()


def test_a_path_that_is_not_shared_is_told_of_and_nothing_is_written(tmp_path: Path) -> None:
    run = Run(tmp_path / "not-here.mark", machine())
    (answer,) = stage_blocks(run, iter([a_block(tmp_path)]))
    assert isinstance(answer, NotShared)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (tmp_path / "file").write_text("in the way")
    (answer,) = stage_blocks(run, iter([a_block(tmp_path / "file")]))
    assert isinstance(answer, Failed)
    travelled = pickle.loads(pickle.dumps(answer))
    assert isinstance(travelled.fault, CannotCreate)
    assert str(travelled.fault) == str(answer.fault)


def test_attempts_and_commands_never_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "events-0"
    runs = [Run(tmp_path / f"events-spark-{name}.mark", "") for name in ("abc", "abd")]
    assert len({own_folder(run, folder, attempt) for run in runs for attempt in (0, 1)}) == 4
