"""Lost and damaged manifests, ledgers, metas and batches: made anew, or named, and never worked around silently."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import ManifestError
from fleetgen.generation.checking import check
from fleetgen.generation.expecting import file_hash
from fleetgen.storage.layout import Layout
from fleetgen.storage.manifest import MANIFEST_VERSION
from support.configs import fleetgen
from support.patience import wait_for
from support.sets import RunningSet, running_set
from support.simulation import Simulation, simulated

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
MEMORY = Path("/dev/shm")
SETTINGS = {"company_interval": '"PT10S"', "driver_interval": '"PT5S"', "catch_up_limit": "1000"}
BEFORE, AFTER = 60, 30

Damage = Callable[[Layout], object]
Contents = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where the system has that."""
    with TemporaryDirectory(prefix="fg-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What is there in the end if nothing is damaged."""
    with simulated(tmp_path_factory.mktemp("undisturbed"), **SETTINGS) as simulation:
        lived_before(simulation)
        simulation.run_for(AFTER)
        return contents(simulation)


def lived_before(simulation: Simulation) -> None:
    """Let a dataset come to have two segments."""
    simulation.run_for(BEFORE / 2)
    simulation.edit(companies_per_batch="7")
    simulation.start()
    simulation.run_for(BEFORE / 2)


def contents(simulation: Simulation) -> Contents:
    """Return all batches, ledgers and totals, but for what a clock or a random number decides."""
    layout = simulation.loaded.layout
    manifest = simulation.dataset.manifest()
    files = {str(path.relative_to(layout.raw)): file_hash(path) for path in layout.raw.rglob("*.jsonl")}
    ledgers = {stream.value: layout.ledger(stream).read_text() for stream in Stream}
    heads = {stream.value: manifest.head(stream).totals for stream in Stream}
    return {"files": files, "ledgers": ledgers, "totals": heads, "metas": [simulation.metas(each) for each in Stream]}


def differences(simulation: Simulation) -> list[str]:
    return [str(each) for each in check(simulation.dataset, None)]


def call(simulation: Simulation, *arguments: str) -> tuple[int, str]:
    """Call the command line; return its exit status and all it says."""
    done = fleetgen(*arguments, "--config", simulation.file, cwd=simulation.file.parent)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def cut_manifest(share: float) -> Damage:
    def cut(layout: Layout) -> None:
        content = layout.manifest.read_bytes()
        layout.manifest.write_bytes(content[: int(len(content) * share)])

    return cut


def without(key: str) -> Damage:
    def damage(layout: Layout) -> None:
        values = json.loads(layout.manifest.read_bytes())
        del values[key]
        layout.manifest.write_text(json.dumps(values))

    return damage


MANIFEST_DAMAGE: dict[str, Damage] = {
    "deleted": lambda layout: layout.manifest.unlink(),
    "empty": lambda layout: layout.manifest.write_bytes(b""),
    "cut to a tenth": cut_manifest(0.1),
    "cut to a half": cut_manifest(0.5),
    "cut near its end": cut_manifest(0.99),
    "garbage": lambda layout: layout.manifest.write_bytes(bytes(range(256)) * 8),
    "another JSON": lambda layout: layout.manifest.write_bytes(b"[1, 2]\n"),
    "nested": lambda layout: layout.manifest.write_bytes(b"[" * 100_000),
    "without its version": without("schema_version"),
    "without its heads' owner": without("dataset_id"),
}
LEDGER_DAMAGE: dict[str, Damage] = {
    "companies' ledger deleted": lambda layout: layout.ledger(Stream.COMPANIES).unlink(),
    "events' ledger deleted": lambda layout: layout.ledger(Stream.EVENTS).unlink(),
    "ledgers deleted": lambda layout: shutil.rmtree(layout.ledger(Stream.EVENTS).parent),
    "events' ledger cut to a half": lambda layout: cut(layout.ledger(Stream.EVENTS), 0.5),
    "companies' ledger cut to a half": lambda layout: cut(layout.ledger(Stream.COMPANIES), 0.5),
}


def cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def both(first: Damage, second: Damage) -> Damage:
    return lambda layout: (first(layout), second(layout))


ALL_DAMAGE: dict[str, Damage] = (
    {f"manifest {name}": damage for name, damage in MANIFEST_DAMAGE.items()}
    | LEDGER_DAMAGE
    | {f"manifest and {name}": both(MANIFEST_DAMAGE["deleted"], damage) for name, damage in LEDGER_DAMAGE.items()}
)


@pytest.mark.parametrize("name", ALL_DAMAGE)
def test_a_stopped_dataset_goes_on_as_if_nothing_had_been_damaged(
    folder: Path, undisturbed: Contents, name: str
) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)
        simulation.stop()

        ALL_DAMAGE[name](simulation.loaded.layout)

        simulation.start()
        assert differences(simulation) == []
        simulation.run_for(AFTER)
        assert contents(simulation) == undisturbed
        assert differences(simulation) == []


@pytest.mark.parametrize("name", MANIFEST_DAMAGE)
def test_makers_that_live_on_make_a_damaged_manifest_anew(folder: Path, undisturbed: Contents, name: str) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)

        MANIFEST_DAMAGE[name](simulation.loaded.layout)

        simulation.run_for(AFTER)
        assert contents(simulation) == undisturbed
        assert differences(simulation) == []
        assert simulation.dataset.manifest().rebuilt_at is not None


@pytest.mark.soak
@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("manifest", ["whole", "lost"])
def test_a_ledger_torn_at_any_byte_of_its_last_line_is_mended(folder: Path, stream: Stream, manifest: str) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)
        layout, ledger = simulation.loaded.layout, simulation.loaded.layout.ledger(stream)
        whole = ledger.read_bytes()
        begins = whole[:-1].rfind(b"\n") + 1
        for size in range(begins, len(whole), 1 if SOAK else 20):
            simulation.stop()
            ledger.write_bytes(whole[:size])
            if manifest == "lost":
                layout.manifest.unlink()
            simulation.start()
            assert ledger.read_bytes() == whole
        assert differences(simulation) == []
        simulation.run_for(AFTER)
        assert differences(simulation) == []


def test_gaps_of_a_lost_ledger_stay_gaps(folder: Path) -> None:
    with simulated(folder, **(SETTINGS | {"catch_up_limit": "1"})) as simulation:
        simulation.run_for(30)
        simulation.stop()
        simulation.run_for(100)
        simulation.start()
        simulation.run_for(30)
        simulation.stop()
        before = contents(simulation)
        layout = simulation.loaded.layout
        layout.manifest.unlink()
        shutil.rmtree(layout.ledger(Stream.EVENTS).parent)
        simulation.start()
        after = contents(simulation)
        assert (after["files"], after["metas"]) == (before["files"], before["metas"])
        for stream in Stream:
            assert after["totals"][stream].missed == before["totals"][stream].missed
        simulation.run_for(AFTER)
        assert differences(simulation) == []


def test_a_newer_manifest_is_refused_and_stays_as_it_is(folder: Path) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)
        simulation.stop()
        layout = simulation.loaded.layout
        values = json.loads(layout.manifest.read_bytes()) | {"schema_version": MANIFEST_VERSION + 1, "new": True}
        layout.manifest.write_text(json.dumps(values))
        content = layout.manifest.read_bytes()
        for command in (["verify"], ["status"], ["pause"], ["clean", "--yes"], ["backfill"]):
            status, said = call(simulation, *command)
            assert (status, said.count("fleetgen: ")) == (78, 1), (command, said)
            assert f"schema version {MANIFEST_VERSION + 1}" in said
        with pytest.raises(ManifestError, match="schema version"):
            simulation.start()
        assert layout.manifest.read_bytes() == content


def test_a_manifest_of_version_1_is_migrated(folder: Path, undisturbed: Contents) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)
        simulation.stop()
        path = simulation.loaded.layout.manifest
        values = json.loads(path.read_bytes()) | {"schema_version": 1}
        del values["rebuilt_at"]
        path.write_text(json.dumps(values))
        assert call(simulation, "verify", "--all")[0] == 0
        simulation.start()
        simulation.run_for(AFTER)
        assert contents(simulation) == undisturbed
        manifest = json.loads(path.read_bytes())
        assert (manifest["schema_version"], manifest["rebuilt_at"]) == (MANIFEST_VERSION, None)


BATCH_DAMAGE: dict[str, Callable[[Path, Stream], object]] = {
    "folder deleted": lambda batch, stream: shutil.rmtree(batch),
    "meta deleted": lambda batch, stream: (batch / "batch_meta.json").unlink(),
    "meta empty": lambda batch, stream: (batch / "batch_meta.json").write_bytes(b""),
    "meta torn": lambda batch, stream: cut(batch / "batch_meta.json", 0.7),
    "meta another JSON": lambda batch, stream: (batch / "batch_meta.json").write_bytes(b"[]"),
    "meta nested": lambda batch, stream: (batch / "batch_meta.json").write_bytes(b"[" * 100_000),
    "data deleted": lambda batch, stream: (batch / f"{stream}.jsonl").unlink(),
    "data torn": lambda batch, stream: cut(batch / f"{stream}.jsonl", 0.5),
}


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("name", BATCH_DAMAGE)
def test_verify_names_a_damaged_batch_and_publishes_the_same_bytes_again(
    folder: Path, undisturbed: Contents, name: str, stream: Stream
) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)
        simulation.stop()
        batch = sorted(simulation.loaded.layout.stream(stream).iterdir())[3]

        BATCH_DAMAGE[name](batch, stream)

        status, said = call(simulation, "verify", "--all")
        assert (status, f"{stream} {batch.name}" in said) == (1, True), said
        status, said = call(simulation, "verify", "--all", "--repair")
        assert (status, f"{stream} {batch.name}" in said) == (0, True), said
        assert call(simulation, "verify", "--all")[0] == 0
        simulation.start()
        simulation.run_for(AFTER)
        assert contents(simulation) == undisturbed


@pytest.mark.parametrize("manifest", ["whole", "lost"])
def test_lost_segments_are_named_and_nothing_is_made_over_them(folder: Path, manifest: str) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        lived_before(simulation)
        simulation.stop()
        layout = simulation.loaded.layout
        shutil.rmtree(layout.segments)
        if manifest == "lost":
            layout.manifest.unlink()
        batches = sorted(layout.raw.rglob("*"))
        for command in (["verify"], ["backfill"]):
            status, said = call(simulation, *command)
            assert (status, said.count("\n")) == (78, 1), (command, said)
            assert "segments" in said
        with pytest.raises(ManifestError, match="segments"):
            simulation.start()
        assert sorted(layout.raw.rglob("*")) == batches


@pytest.mark.soak
def test_a_running_set_makes_its_manifest_anew_and_says_so() -> None:
    settings = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "catch_up_limit": "1000"}
    with running_set(**settings) as running:
        wait_for(lambda: running.batch_count("events") >= 3, 20, "The first batches")
        for name in MANIFEST_DAMAGE if SOAK else ("deleted", "cut to a half"):
            damage_under(running, name)
        running.call("pause")
        time.sleep(1)
        said = running.call("verify", "--all", check=False)
        assert said.returncode == 0, said.stdout + said.stderr
        assert set(reasons(running)) <= {"paused"}


def damage_under(running: RunningSet, name: str) -> None:
    """Damage the manifest; wait until somebody has said so and both streams have gone on."""
    told = rebuilds(running)
    time.sleep((1.5 - time.time() % 1) % 1)  # between two batches: whoever holds the manifest just now writes it whole
    MANIFEST_DAMAGE[name](Layout(running.data))
    wait_for(lambda: rebuilds(running) > told, 5, f"The rebuilding of a manifest ({name})")
    seen = {stream: running.batch_count(stream) for stream in Stream}
    wait_for(lambda: goes_on(running, seen), 5, f"Going on after the manifest was damaged ({name})")


def rebuilds(running: RunningSet) -> int:
    return sum(line.get("kind") == "rebuilt" for process in ("company", "driver") for line in running.log(process))


def goes_on(running: RunningSet, seen: dict[Stream, int]) -> bool:
    return all(running.batch_count(stream) > count + 1 for stream, count in seen.items())


def reasons(running: RunningSet) -> list[str]:
    heads = running.manifest()["heads"].values()
    return [reason for head in heads for reason in head["totals"]["missed"]]


@pytest.mark.parametrize("lives", ["stopped", "living on"])
@pytest.mark.parametrize("segment", ["in the same segment", "from before a segment"])
def test_an_older_manifest_gets_every_line_that_it_lacks(
    folder: Path, undisturbed: Contents, lives: str, segment: str
) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        simulation.run_for(10)
        before = simulation.dataset.manifest()
        simulation.run_for(BEFORE / 2 - 10)
        simulation.edit(companies_per_batch="7")
        simulation.start()
        if segment == "in the same segment":
            simulation.run_for(5)
            before = simulation.dataset.manifest()
            simulation.run_for(BEFORE / 2 - 5)
        else:
            simulation.run_for(BEFORE / 2)
        simulation.dataset.store.write(before)
        inode = simulation.loaded.layout.all_companies.stat().st_ino
        if lives == "stopped":
            simulation.start()
        simulation.run_for(AFTER)
        assert contents(simulation) == undisturbed
        assert differences(simulation) == []
        assert simulation.loaded.layout.all_companies.stat().st_ino == inode


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_verify_blames_an_older_manifest_and_not_the_files_and_mends_it(folder: Path, jobs: tuple[str, ...]) -> None:
    with simulated(folder, **SETTINGS) as simulation:
        simulation.run_for(20)
        before = simulation.dataset.manifest()
        simulation.run_for(40)
        simulation.stop()
        whole = contents(simulation)
        simulation.dataset.store.write(before)
        status, said = call(simulation, "verify", "--all", *jobs)
        assert (status, said.count("manifest: is older than the ledger"), said.count("\n")) == (1, 2, 3), said
        status, said = call(simulation, "verify", "--all", "--repair", *jobs)
        assert (status, said.count("repaired")) == (0, 2), said
        assert contents(simulation) == whole
        assert differences(simulation) == []
