"""Batches that are pruned: which may go, that they go whole, and that everything that follows from them goes on."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import UsageError
from fleetgen.generation import lifecycle
from fleetgen.generation.checking import check, remake
from fleetgen.generation.cleaning import clean
from fleetgen.generation.expecting import expected_content
from fleetgen.generation.inspecting import batch_facts
from fleetgen.medallion.carrying.carrier import Carrier
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.storage.pruning import note_pruned, pruned_before
from fleetgen.telemetry.logs import start_logging
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics
from support.simulation import Simulation, simulated

KEPT = 50
BATCHES = 5000 if os.environ.get("FLEETGEN_SOAK") else 150
QUALITY = {"event_error_rate": "0.3", "company_error_rate": "0.3"}
SETTINGS = {
    "company_interval": '"PT1S"',
    "driver_interval": '"PT1S"',
    "companies_per_batch": "2",
    "events_per_batch": "{ min = 1, max = 4 }",
}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, preset="quality-demo", keep_batches=str(KEPT), **SETTINGS, **QUALITY) as each:
        yield each


def folders(simulation: Simulation, stream: Stream) -> list[str]:
    return sorted(path.name for path in simulation.loaded.layout.stream(stream).iterdir())


def used(data: Path) -> tuple[int, int]:
    """Return the files, and the bytes in them, in bronze and truth; the one file of all companies apart."""
    files = [path for kind in ("raw", "truth") for path in (data / kind).glob("*/*/*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def acknowledge(simulation: Simulation, name: str, number: int) -> None:
    manifest = simulation.dataset.manifest()
    lifecycle.acknowledge(simulation.dataset, name, manifest.dataset_id, dict.fromkeys(Stream, number), 0)


@pytest.mark.soak
def test_files_stay_few_and_every_pruned_batch_is_made_again_with_its_hash(simulation: Simulation) -> None:
    # given as many batches as are kept
    simulation.run_for(KEPT)
    files, size = used(simulation.loaded.layout.data)

    # when very many more are made
    simulation.run_for(BATCHES - KEPT)

    # then the disk holds about as much as before
    more_files, more_size = used(simulation.loaded.layout.data)
    assert more_files == files
    assert more_size < 1.3 * size
    dataset, manifest = simulation.dataset, simulation.dataset.manifest()
    for stream in Stream:
        entries = list(dataset.ledgers[stream].batches())
        assert len(entries) > BATCHES - 3
        assert folders(simulation, stream) == [entry.batch_id for entry in entries[-KEPT:]]
        # and each batch that went follows from the segments, as the ledger has it
        for entry in entries[:-KEPT]:
            _, batch = remake(dataset, manifest, stream, entry)
            assert expected_content(stream, batch).sha256 == entry.sha256
    assert list(check(dataset, None)) == []


def test_the_file_of_all_companies_has_the_pruned_ones_also_when_it_is_made_anew(simulation: Simulation) -> None:
    simulation.run_for(2 * KEPT)
    path = simulation.loaded.layout.all_companies
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    simulation.run_for(1)
    companies = simulation.dataset.manifest().head(Stream.COMPANIES)
    content = path.read_bytes()
    assert len(content) == companies.totals.bytes
    newest = simulation.dataset.ledgers[Stream.COMPANIES].newest_batches(1)[0]
    assert hashlib.sha256(content[: -newest.bytes]).hexdigest() == before


@pytest.mark.parametrize("leaves", [False, True])
def test_what_a_consumer_has_not_acknowledged_stays_also_when_it_has_left(simulation: Simulation, leaves: bool) -> None:
    simulation.edit(consumers='["mine"]', action='"off"')
    simulation.start()
    simulation.run_for(10)
    acknowledge(simulation, "mine", 7)
    if leaves:
        lifecycle.leave(simulation.dataset, "mine")
    simulation.run_for(2 * KEPT)
    for stream in Stream:
        assert pruned_before(simulation.loaded.layout, stream) == 8
        assert len(folders(simulation, stream)) == simulation.dataset.manifest().head(stream).next_batch - 8
    acknowledge(simulation, "mine", KEPT)
    simulation.run_for(5)
    assert {pruned_before(simulation.loaded.layout, stream) for stream in Stream} == {KEPT + 1}


def test_without_a_consumer_all_count_as_acknowledged(simulation: Simulation) -> None:
    simulation.edit(consumers="[]")
    simulation.start()
    simulation.run_for(10)
    acknowledge(simulation, "mine", 2)
    simulation.run_for(2 * KEPT)
    assert {len(folders(simulation, stream)) for stream in Stream} == {KEPT}


def test_retention_that_is_switched_on_late_goes_through_what_is_there(simulation: Simulation) -> None:
    simulation.edit(keep_batches="0")
    simulation.start()
    simulation.run_for(3 * KEPT)
    assert len(folders(simulation, Stream.EVENTS)) > 3 * KEPT - 3
    simulation.edit(keep_batches="1")
    simulation.start()
    simulation.run_for(1)
    assert {len(folders(simulation, stream)) for stream in Stream} == {1}
    assert list(check(simulation.dataset, None)) == []


def test_a_batch_that_was_deleted_by_hand_is_missing_and_a_pruned_one_is_not(simulation: Simulation) -> None:
    simulation.run_for(2 * KEPT)
    layout = simulation.loaded.layout
    deleted, pruned = folders(simulation, Stream.EVENTS)[3], simulation.dataset.ledgers[Stream.EVENTS].batches()
    for path in layout.batch(Stream.EVENTS, deleted).iterdir():
        path.unlink()
    layout.batch(Stream.EVENTS, deleted).rmdir()
    (difference,) = check(simulation.dataset, None)
    assert difference.batch_id == deleted
    with pytest.raises(UsageError, match=r"was pruned.*fleetgen replay events"):
        batch_facts(layout, Stream.EVENTS, next(pruned).batch_id, 1, None)
    with pytest.raises(UsageError, match="is gone"):
        batch_facts(layout, Stream.EVENTS, deleted, 1, None)


def test_a_ledger_that_was_altered_is_found_also_where_the_batch_was_pruned(simulation: Simulation) -> None:
    simulation.run_for(2 * KEPT)
    path = simulation.loaded.layout.ledger(Stream.EVENTS)
    first, rest = path.read_text().split("\n", 1)
    digest = next(simulation.dataset.ledgers[Stream.EVENTS].batches()).sha256
    path.write_text(first.replace(digest, "0" * 64) + "\n" + rest)
    (difference,) = check(simulation.dataset, None)
    assert "the ledger has another hash" in difference.text


def test_a_clean_forgets_what_was_pruned(simulation: Simulation) -> None:
    simulation.run_for(2 * KEPT)
    simulation.stop()
    clean(simulation.loaded.layout)
    simulation.start()
    simulation.run_for(10)
    assert pruned_before(simulation.loaded.layout, Stream.EVENTS) == 0
    assert list(check(simulation.dataset, None)) == []


@pytest.mark.parametrize("known_again", [False, True])
def test_after_the_manifest_was_made_anew_nothing_goes_until_the_consumer_is_known_again(
    simulation: Simulation, known_again: bool
) -> None:
    simulation.edit(consumers='["mine"]', action='"off"')
    simulation.start()
    simulation.run_for(10)
    acknowledge(simulation, "mine", 7)
    simulation.loaded.layout.manifest.unlink()
    if known_again:
        simulation.run_for(1)
        acknowledge(simulation, "mine", 7)
    simulation.run_for(KEPT + 20)
    assert {pruned_before(simulation.loaded.layout, stream) for stream in Stream} == {8 if known_again else 0}


def test_the_own_pipeline_counts_only_where_the_set_has_one(simulation: Simulation) -> None:
    simulation.run_for(5)
    acknowledge(simulation, "pipeline", 1)
    simulation.run_for(2 * KEPT)
    assert lifecycle.leave(simulation.dataset, "pipeline")
    simulation.run_for(1)
    assert pruned_before(simulation.loaded.layout, Stream.EVENTS) == 2
    text = simulation.file.read_text()
    head, table, rest = text.partition("[pipeline]")
    simulation.file.write_text(head + table + rest.replace("enabled = true", "enabled = false", 1))
    simulation.start()
    simulation.run_for(1)
    assert len(folders(simulation, Stream.EVENTS)) == KEPT


def test_a_pipeline_without_tables_is_not_waited_for_because_of_what_was_pruned(simulation: Simulation) -> None:
    # given a dataset of which all batches were pruned, and a pipeline that has none of them, as after its tables were removed
    simulation.run_for(20)
    layout = simulation.loaded.layout
    published = {stream: simulation.dataset.manifest().head(stream).next_batch for stream in Stream}
    for stream, number in published.items():
        note_pruned(layout, stream, number)
    said, metrics = StringIO(), PipelineMetrics("emulated")
    engines = partial(EmbeddedEngine, layout, beat=lambda: None)
    carrier = Carrier(layout, engines, simulation.clock, start_logging("pipeline", said), metrics)
    carrier.hold()
    # when it looks for work
    assert carrier.step(lambda: False)
    # then it says what it will never have, is behind with nothing, and has nothing to do
    known = simulation.dataset.manifest().consumers["pipeline"]
    assert {stream: known.has(stream) for stream in Stream} == {s: n - 1 for s, n in published.items()}
    assert "were pruned before they were carried" in said.getvalue()
    assert not carrier.step(lambda: False)
    carrier.drop()
