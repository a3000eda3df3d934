"""A dataset whose metas and ledger are of version 1, where the hash of several parts was that of all their bytes."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import SCHEMA_VERSION, Stream
from fleetgen.generation.checking import check
from fleetgen.generation.rebuilding import complete_ledger
from fleetgen.generation.recording import data_files
from fleetgen.generation.repairing import repair
from fleetgen.medallion.lines import DamagedBatch, read_batches
from fleetgen.storage.bronze import read_meta
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, Ledger
from fleetgen.storage.pruning import note_pruned
from support.simulation import Simulation, simulated

SETTINGS = {"preset": "base", "event_rate_per_driver": "280.0"}
"""Some 280,000 events a batch, in two parts."""
SHELL = "sha256sum events-*.jsonl | cut -c1-64 | sha256sum"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The first batches of both streams, as they are written today."""
    folder = tmp_path_factory.mktemp("original")
    with simulated(folder, **SETTINGS) as simulation:
        simulation.run_for(5)
        assert [entry.parts for entry in entries(simulation)] == [2]
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def simulation(original: Path, tmp_path: Path) -> Iterator[Simulation]:
    """The dataset again, the data files shared, the rest copied."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True, copy_function=link_or_copy)
    with simulated(tmp_path, **SETTINGS, start=moment_after(original)) as each:
        yield each
    shutil.rmtree(tmp_path)


@pytest.fixture
def earlier(simulation: Simulation) -> Simulation:
    """The dataset as version 1 would have written it."""
    for stream in Stream:
        make_earlier(simulation.loaded.layout, stream)
    return simulation


def link_or_copy(source: str, target: str) -> str:
    if source.endswith("jsonl") and "ledger" not in source and "companies" not in source:
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


def moment_after(folder: Path) -> int:
    state = json.loads((folder / "data" / "manifests" / "generator_state.json").read_text())
    return max(int(head["stands_at"]) for head in state["heads"].values()) + 1_000_000


def make_earlier(layout: Layout, stream: Stream) -> None:
    lines = []
    for entry in Ledger(layout.ledger(stream)).batches():
        content = b"".join(path.read_bytes() for path in data_files(layout.batch(stream, entry.batch_id), stream))
        whole = hashlib.sha256(content).hexdigest()
        path = layout.batch_meta(stream, entry.batch_id)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 1, "sha256": whole}))
        lines.append(entry.model_copy(update={"sha256": whole}).model_dump_json(exclude={"schema_version"}) + "\n")
    layout.ledger(stream).write_text("".join(lines))


def entries(simulation: Simulation) -> list[BatchEntry]:
    return list(simulation.dataset.ledgers[Stream.EVENTS].batches())


def folder_of(simulation: Simulation) -> Path:
    return simulation.loaded.layout.batch(Stream.EVENTS, entries(simulation)[0].batch_id)


def differences(simulation: Simulation) -> list[str]:
    return [each.text for each in check(simulation.dataset, None)]


def test_a_shell_computes_the_hash_that_ledger_and_meta_have(simulation: Simulation) -> None:
    (entry,) = entries(simulation)
    done = subprocess.run(SHELL, shell=True, cwd=folder_of(simulation), capture_output=True, text=True, check=True)
    meta = read_meta(simulation.loaded.layout, Stream.EVENTS, entry.batch_id)
    assert meta is not None
    assert done.stdout.split()[0] == entry.sha256 == meta["sha256"]
    assert entry.schema_version == meta["schema_version"] == SCHEMA_VERSION
    assert differences(simulation) == []


def test_an_earlier_dataset_verifies_and_is_continued(earlier: Simulation) -> None:
    assert [entry.schema_version for entry in entries(earlier)] == [1]
    assert differences(earlier) == []

    earlier.run_for(900)

    assert [(entry.schema_version, entry.parts) for entry in entries(earlier)] == [(1, 2), (SCHEMA_VERSION, 2)]
    assert differences(earlier) == []


def test_the_hash_of_one_version_is_wrong_in_the_other(simulation: Simulation) -> None:
    today = simulation.loaded.layout.ledger(Stream.EVENTS).read_text()
    make_earlier(simulation.loaded.layout, Stream.EVENTS)

    simulation.loaded.layout.ledger(Stream.EVENTS).write_text(today)

    assert "does not follow from its segment: the ledger has another hash" not in differences(simulation)
    assert differences(simulation) == ["has a changed batch_meta.json: schema_version, sha256"]
    old = json.loads(today) | {"schema_version": 1}
    simulation.loaded.layout.ledger(Stream.EVENTS).write_text(json.dumps(old) + "\n")
    assert "does not follow from its segment: the ledger has another hash" in differences(simulation)


@pytest.mark.parametrize("lost", ["batch_meta.json", "events-00001.jsonl"])
def test_a_repaired_batch_of_an_earlier_dataset_is_as_it_was(earlier: Simulation, lost: str) -> None:
    layout, (entry,) = earlier.loaded.layout, entries(earlier)
    meta = read_meta(layout, Stream.EVENTS, entry.batch_id)
    (folder_of(earlier) / lost).unlink()
    earlier.stop()

    (difference,) = check(earlier.dataset, None)

    assert repair(earlier.dataset, earlier.dataset.manifest(), difference)
    assert differences(earlier) == []
    again = read_meta(layout, Stream.EVENTS, entry.batch_id)
    assert meta is not None
    assert again is not None
    assert (again["schema_version"], again["sha256"]) == (1, entry.sha256) == (1, meta["sha256"])


def test_a_lost_ledger_of_an_earlier_dataset_is_made_again(earlier: Simulation) -> None:
    before = entries(earlier)
    earlier.stop()
    earlier.loaded.layout.ledger(Stream.EVENTS).unlink()

    segments = earlier.dataset.segments(earlier.dataset.manifest())
    complete_ledger(earlier.loaded.layout, Stream.EVENTS, before[0].interval.start, before[-1].interval.end, segments)

    assert entries(earlier) == before
    assert differences(earlier) == []


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION])
def test_a_pruned_batch_is_checked_by_its_ledger_line_alone(simulation: Simulation, version: int) -> None:
    layout, (entry,) = simulation.loaded.layout, entries(simulation)
    if version == 1:
        make_earlier(layout, Stream.EVENTS)
    shutil.rmtree(folder_of(simulation))
    note_pruned(layout, Stream.EVENTS, entry.batch_number + 1)

    assert differences(simulation) == []
    line = json.loads(layout.ledger(Stream.EVENTS).read_text()) | {"sha256": "0" * 64}
    layout.ledger(Stream.EVENTS).write_text(json.dumps(line) + "\n")
    assert differences(simulation) == ["does not follow from its segment: the ledger has another hash"]


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION])
def test_the_pipeline_reads_batches_of_either_version_and_tells_damage(simulation: Simulation, version: int) -> None:
    layout = simulation.loaded.layout
    if version == 1:
        make_earlier(layout, Stream.EVENTS)
    found = entries(simulation)

    table = read_batches(layout, Stream.EVENTS, found, lambda: None)

    assert table.num_rows == found[0].record_count
    second = folder_of(simulation) / "events-00001.jsonl"
    content = bytearray(second.read_bytes())
    content[-5] ^= 1
    second.unlink()
    second.write_bytes(content)
    with pytest.raises(DamagedBatch):
        read_batches(layout, Stream.EVENTS, found, lambda: None)


def test_a_line_of_a_later_version_is_refused(simulation: Simulation) -> None:
    path = simulation.loaded.layout.ledger(Stream.EVENTS)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 1}) + "\n")
    with pytest.raises(Exception, match="has a line that is no entry"):
        entries(simulation)
