"""What lies where a stream must go is worked out where it can be, and otherwise named with its path and the cure."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import InTheWay
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.checking import check
from fleetgen.generation.outcomes import Published
from support.simulation import Simulation, simulated

SETTINGS = {"company_interval": '"PT10S"', "driver_interval": '"PT5S"', "catch_up_limit": "1000", "enabled": "true"}

Damage = Callable[[Path], object]


def changed(**changes: Any) -> Damage:
    """Change keys of a meta; one that is to be None goes."""

    def change(meta: Path) -> None:
        values = json.loads(meta.read_bytes()) | changes
        meta.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


META_DAMAGE: dict[str, Damage] = {
    "deleted": lambda meta: meta.unlink(),
    "torn": lambda meta: meta.write_bytes(meta.read_bytes()[:99]),
    "another JSON": lambda meta: meta.write_bytes(b"[]"),
    "without its number": changed(batch_number=None),
    "without its hash": changed(sha256=None),
    "with words for its parts": changed(parts=7),
    "with another interval": changed(interval_start="2026-01-05T11:00:00.000000Z"),
    "with words for its interval": changed(interval_start="noon"),
    "of another stream": changed(stream="drivers"),
}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    """A dataset of two segments, whose processes have stopped."""
    with simulated(tmp_path, **SETTINGS) as each:
        each.run_for(30)
        each.edit(companies_per_batch="7")
        each.start()
        each.run_for(30)
        each.stop()
        yield each


def lines(simulation: Simulation, stream: Stream) -> list[str]:
    return simulation.loaded.layout.ledger(stream).read_text().splitlines()


def meta_of(simulation: Simulation, stream: Stream, number: int) -> Path:
    return sorted(simulation.loaded.layout.stream(stream).iterdir())[number] / "batch_meta.json"


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("name", META_DAMAGE)
def test_a_lost_ledger_is_made_again_although_metas_are_damaged(
    simulation: Simulation, name: str, stream: Stream
) -> None:
    before, metas = lines(simulation, stream), simulation.metas(stream)
    simulation.loaded.layout.ledger(stream).unlink()
    for number in (0, 2, -1):
        META_DAMAGE[name](meta_of(simulation, stream, number))
    simulation.start()
    assert lines(simulation, stream)[: len(before)] == before
    assert simulation.metas(stream)[: len(metas)] == metas
    simulation.run_for(20)
    assert list(check(simulation.dataset, None)) == []


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("name", META_DAMAGE)
def test_a_batch_that_was_not_recorded_is_adopted_although_its_meta_is_damaged(
    simulation: Simulation, name: str, stream: Stream
) -> None:
    before, layout = simulation.dataset.manifest(), simulation.loaded.layout
    ledger = layout.ledger(stream).read_bytes()
    simulation.start(stream)
    (published,) = [each for each in simulation.run_for(10) if isinstance(each, Published)][:1]
    simulation.stop()
    for folder in sorted(layout.stream(stream).iterdir())[published.entry.batch_number + 1 :]:
        shutil.rmtree(folder)
    simulation.dataset.store.write(before)
    layout.ledger(stream).write_bytes(ledger)
    META_DAMAGE[name](meta_of(simulation, stream, -1))
    simulation.start()
    (found,) = simulation.makers[stream].dataset.take_adopted()
    assert (found.entry, found.adopted) == (published.entry, True)
    simulation.run_for(20)
    assert list(check(simulation.dataset, None)) == []


def test_a_damaged_meta_whose_files_are_not_the_batch_is_named_with_the_cure(simulation: Simulation) -> None:
    meta = meta_of(simulation, Stream.EVENTS, 2)
    simulation.loaded.layout.ledger(Stream.EVENTS).unlink()
    meta.write_bytes(b"{")
    (meta.parent / "events.jsonl").write_bytes(b"{}\n")
    dataset = simulation.dataset
    for _ in range(2):
        with (
            dataset.store.locked() as transaction,
            pytest.raises(InTheWay, match=rf"{meta} is damaged.*move {meta.parent} away"),
        ):
            dataset.settle(transaction.manifest, Stream.EVENTS)
    shutil.move(meta.parent, simulation.file.parent / "aside")
    simulation.start()
    number = simulation.dataset.manifest().head(Stream.EVENTS).next_batch
    simulation.run_for(20)
    assert simulation.dataset.manifest().head(Stream.EVENTS).next_batch == number + 4


def foreign_folder(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "notes.txt").write_text("mine")


def foreign_batch(path: Path) -> None:
    shutil.copytree(min(path.parent.iterdir()), path)


FOREIGN: dict[str, Damage] = {
    "a folder": foreign_folder,
    "another batch": foreign_batch,
    "a file": lambda path: path.write_text("mine"),
}


def batch_after_next(simulation: Simulation, stream: Stream) -> Path:
    """Where the batch after the next one must go."""
    manifest = simulation.dataset.manifest()
    interval = simulation.dataset.next_interval(manifest, stream)
    following = manifest.with_head(stream, manifest.head(stream).updated(stands_at=interval.end))
    return simulation.loaded.layout.batch(stream, simulation.dataset.next_interval(following, stream).batch_id)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_has_the_name_of_a_coming_batch_is_named_with_the_cure_until_it_is_moved_away(
    simulation: Simulation, name: str
) -> None:
    path = batch_after_next(simulation, Stream.EVENTS)
    FOREIGN[name](path)
    simulation.start(Stream.EVENTS)
    for _ in range(3):
        with pytest.raises(InTheWay, match=rf"{path}(/batch_meta.json)? is .*ove .*away"):
            simulation.run_for(20)
    shutil.move(path, simulation.file.parent / "aside")
    simulation.start()
    simulation.run_for(20)
    assert path.is_dir()
    assert list(check(simulation.dataset, None)) == []


@pytest.mark.parametrize("name", FOREIGN)
def test_a_backfill_names_what_is_in_its_way(simulation: Simulation, name: str) -> None:
    path = batch_after_next(simulation, Stream.EVENTS)
    FOREIGN[name](path)
    loaded, until = simulation.loaded, simulation.clock.moment + 60 * 1_000_000
    with (
        Backfill(loaded.layout, loaded.config, Span(None, until, None), until) as history,
        pytest.raises(InTheWay, match=rf"{path} is in the way.*Move it away"),
    ):
        list(history.fill(history.begin(), 1, lambda: None))
    shutil.move(path, simulation.file.parent / "aside")
    with Backfill(loaded.layout, loaded.config, Span(None, until, None), until) as history:
        list(history.fill(history.begin(), 1, lambda: None))
    assert list(check(simulation.dataset, None)) == []


def test_folders_that_people_put_beside_the_batches_are_in_nobodys_way(simulation: Simulation) -> None:
    layout = simulation.loaded.layout
    newest = max(layout.stream(Stream.EVENTS).iterdir())
    before = lines(simulation, Stream.EVENTS)
    shutil.copytree(newest, newest.with_name(f"{newest.name}.bak"))
    foreign_folder(layout.stream(Stream.EVENTS) / "99999999T999999Z")
    layout.ledger(Stream.EVENTS).unlink()
    simulation.start()
    assert lines(simulation, Stream.EVENTS)[: len(before)] == before
    simulation.run_for(20)
    assert list(check(simulation.dataset, None)) == []
