"""What follows from batches never holds them up: a batch is told, and the next one comes, whatever a derived file says."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.generation.checking import check
from fleetgen.generation.outcomes import Published
from fleetgen.generation.recording import discard_unfinished
from fleetgen.storage.layout import Layout
from support.api import samples
from support.patience import wait_for
from support.sets import RunningSet, running_set
from support.simulation import Simulation, simulated


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, company_interval='"PT10S"', driver_interval='"PT5S"') as each:
        each.run_for(30)
        yield each


def batches(simulation: Simulation, stream: Stream, seconds: int) -> list[int]:
    """Let time pass; return the numbers of the batches that were told of."""
    made = simulation.run_for(seconds)
    return [each.entry.batch_number for each in made if isinstance(each, Published) and each.stream is stream]


def all_companies(layout: Layout) -> bytes:
    """The lines of all batches of companies."""
    return b"".join(
        (folder / "companies.jsonl").read_bytes() for folder in sorted(layout.stream(Stream.COMPANIES).iterdir())
    )


def test_a_missing_batch_and_a_file_that_is_off_hold_up_no_batch_and_the_file_is_whole_again(
    simulation: Simulation,
) -> None:
    layout = simulation.loaded.layout
    whole = all_companies(layout)
    next_batch = simulation.dataset.manifest().head(Stream.COMPANIES).next_batch
    layout.all_companies.write_bytes(b"short\n")
    shutil.rmtree(sorted(layout.stream(Stream.COMPANIES).iterdir())[1])
    assert batches(simulation, Stream.COMPANIES, 30) == [next_batch, next_batch + 1, next_batch + 2]
    assert layout.all_companies.read_bytes().startswith(whole)
    assert simulation.makers[Stream.COMPANIES].derived.trouble is None


DERIVED: list[tuple[Stream, Callable[[Layout], Path]]] = [
    (Stream.COMPANIES, lambda layout: layout.all_companies),
    (Stream.EVENTS, lambda layout: layout.batch_manifest),
]


@pytest.mark.parametrize(("stream", "named"), DERIVED)
def test_batches_go_on_while_a_derived_file_cannot_be_written_and_it_is_mended_in_time(
    simulation: Simulation, stream: Stream, named: Callable[[Layout], Path]
) -> None:
    layout = simulation.loaded.layout
    path, maker = named(layout), simulation.makers[stream]
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    first = simulation.dataset.manifest().head(stream).next_batch
    made = batches(simulation, stream, 60)
    assert made == list(range(first, simulation.dataset.manifest().head(stream).next_batch))
    assert len(made) >= 6
    assert isinstance(maker.derived.trouble, OSError)
    assert 1 <= maker.derived.failures < len(made)

    path.rmdir()
    simulation.clock.moment += 60 * 1_000_000
    maker.mend_derived()
    assert maker.derived.trouble is None
    if stream is Stream.COMPANIES:
        assert path.read_bytes() == all_companies(layout)
        assert path.read_bytes().startswith(content)
    else:
        assert json.loads(path.read_bytes())["last_batch_id"] == simulation.metas(stream)[-1]["batch_id"]
    assert list(check(simulation.dataset, None)) == []


def test_the_note_about_the_dataset_is_written_with_the_first_batches_and_again_where_it_is_gone(
    simulation: Simulation,
) -> None:
    note, dataset_id = simulation.loaded.layout.dataset_note, simulation.dataset.manifest().dataset_id
    assert f"Dataset {dataset_id}" in note.read_text()
    note.unlink()
    simulation.run_for(10)
    assert f"Dataset {dataset_id}" in note.read_text()


def test_a_process_that_begins_takes_no_note_away_that_another_is_writing(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        layout = simulation.dataset.layout
        half_written = layout.dataset_note.with_name(f".{layout.dataset_note.name}.1.new")
        half_written.parent.mkdir(parents=True, exist_ok=True)
        half_written.write_text("# Dataset")
        for stream in Stream:
            discard_unfinished(layout, stream)
        assert half_written.exists()
        simulation.run_for(20)
        discard_unfinished(layout, Stream.EVENTS)
        assert not half_written.exists()


def test_a_process_says_once_that_a_file_is_off_counts_each_failure_and_says_that_it_is_right_again() -> None:
    with running_set(company_interval='"PT1S"', driver_interval='"PT1S"') as running:
        wait_for(lambda: running.batch_count("companies") > 2, 20, "Some batches")
        path = Layout(running.data).all_companies
        path.rename(path.with_suffix(".aside"))
        path.mkdir()
        wait_for(lambda: said(running) == ["error"], 10, "The fault in the log")
        before = running.batch_count("companies")
        wait_for(lambda: running.batch_count("companies") > before + 2, 10, "Batches meanwhile")
        told = [line["batch_number"] for line in running.log("company") if line.get("kind") == "batch_published"]
        assert told == list(range(len(told)))
        assert failures(running) == 1
        path.rmdir()
        wait_for(lambda: said(running) == ["error", "info"], 30, "The end of the fault in the log")
        running.call("pause")
        assert path.stat().st_size == running.manifest()["heads"]["companies"]["totals"]["bytes"]
        assert not [line for line in running.log("company") if line.get("kind") == "error"]


def said(running: RunningSet) -> list[str]:
    return [line["level"] for line in running.log("company") if line.get("kind") == "derived"]


def failures(running: RunningSet) -> float:
    return samples(running.metrics("company"))["fleetgen_errors_total", frozenset({("phase", "derived")})]
