"""Both streams with issues in them: the truth comes with its batch, follows from the manifest, and goes with it."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from fleetgen.cadence.clock import LogicalClock
from fleetgen.domain.records import ISSUE_TYPES, SECOND, Stream, batch_id
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.checking import check, remake, require_entry
from fleetgen.generation.cleaning import clean
from fleetgen.generation.outcomes import Published
from fleetgen.generation.repairing import repair
from fleetgen.machine import die_with_parent
from fleetgen.processes.reporting import Reporter
from fleetgen.storage.bronze import publish_batch, staged_batch, staged_truth
from fleetgen.storage.ledger import BatchEntry
from fleetgen.telemetry.logs import start_logging
from fleetgen.telemetry.metrics import GeneratorMetrics
from support.permits import permitted
from support.sets import FLEETGEN
from support.simulation import NOON, Simulation, metas, simulated

DEMO = "quality-demo"
PROCESSES = {Stream.COMPANIES: "company", Stream.EVENTS: "driver"}
REPOSITORY = Path(__file__).parents[2]

streams = pytest.mark.parametrize("stream", list(Stream))


def differences(simulation: Simulation) -> list[str]:
    return [str(each) for each in check(simulation.dataset, None)]


def truth_files(data: Path, stream: Stream) -> dict[str, bytes]:
    """Return the truth of every batch by its id."""
    return {path.parent.name: path.read_bytes() for path in sorted((data / "truth" / stream).glob("*/issues.jsonl"))}


def content(data: Path) -> dict[str, bytes]:
    """Return every published line and the whole truth, by file."""
    found = [*data.glob("raw/*/*/*.jsonl"), *data.glob("truth/*/*/*")]
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(found)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of two minutes of the demo."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with simulated(folder, preset=DEMO) as simulation:
        simulation.run_for(120)
    return folder / "data"


# Live


def test_meta_ledger_metrics_and_truth_agree(tmp_path: Path) -> None:
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.run_for(600)
        data = simulation.loaded.layout.data
        for stream in Stream:
            issues = {
                name: Counter(json.loads(line)["issue_type"] for line in truth.splitlines())
                for name, truth in truth_files(data, stream).items()
            }
            entries = list(simulation.dataset.ledgers[stream].batches())
            found = simulation.metas(stream)
            assert [meta["batch_id"] for meta in found] == list(issues) == [entry.batch_id for entry in entries]
            for meta, entry in zip(found, entries, strict=True):
                counts = issues[entry.batch_id]
                lines = (data / "raw" / stream / entry.batch_id / f"{stream}.jsonl").read_bytes().count(b"\n")
                assert meta["issue_counts"] == entry.issue_counts == counts
                assert meta["corrupted_count"] == entry.corrupted_count == counts.total()
                assert meta["valid_count"] == entry.valid_count == lines - counts.total()
                assert meta["record_count"] == meta["event_count"] == entry.record_count == lines
            total = sum(issues.values(), Counter[str]())
            assert total.total() > 50
            assert exported(simulation, stream) == {kind: total[kind] for kind in ISSUE_TYPES}


def exported(simulation: Simulation, stream: Stream) -> dict[str, int]:
    """Return fleetgen_records_corrupted_total of a process that looks at the manifest now."""
    metrics = GeneratorMetrics(stream, "emulated")
    metrics.totals(simulation.dataset.manifest().head(stream).totals)
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {
        kind: int(float(line.rpartition(" ")[2]))
        for line in lines
        for kind in ISSUE_TYPES
        if line.startswith(f'fleetgen_records_corrupted_total{{issue_type="{kind}",stream="{stream}"}}')
    }


def test_sizes_are_those_of_a_run_without_issues(tmp_path: Path, undisturbed: Path) -> None:
    with simulated(tmp_path, preset="emulated") as simulation:
        simulation.run_for(120)
    for stream in Stream:
        clean_ones, dirty_ones = metas(tmp_path / "data", stream), metas(undisturbed, stream)
        for key in ("batch_id", "batch_number", "record_count", "company_count", "interval_start", "interval_end"):
            assert [meta[key] for meta in clean_ones] == [meta[key] for meta in dirty_ones]
    assert not (tmp_path / "data" / "truth").exists()


@streams
def test_the_log_sentence_counts_valid_and_corrupted(tmp_path: Path, stream: Stream) -> None:
    log = StringIO()
    with simulated(tmp_path, preset=DEMO) as simulation:
        made = [each for each in simulation.run_for(60) if isinstance(each, Published)]
    reporter = Reporter(
        PROCESSES[stream], stream, start_logging(PROCESSES[stream], log), GeneratorMetrics(stream, "emulated")
    )
    for each in made:
        if (each.target_count is not None) == (stream is Stream.COMPANIES):
            reporter.published(each)
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    for line, meta in zip(told, metas(tmp_path / "data", stream), strict=True):
        counts = f"({meta['valid_count']} valid, {meta['corrupted_count']} corrupted)"
        name = f"{PROCESSES[stream].capitalize()} batch {meta['batch_number']}"
        assert line["event"] == f"{name}: {meta['record_count']} {stream} generated {counts}"
        assert (line["valid_count"], line["corrupted_count"]) == (meta["valid_count"], meta["corrupted_count"])


def test_an_empty_batch_has_an_empty_truth(tmp_path: Path) -> None:
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.stop(Stream.COMPANIES)
        simulation.run_for(30)
        assert set(truth_files(simulation.loaded.layout.data, Stream.EVENTS).values()) == {b""}
        assert differences(simulation) == []


def test_restarts_leave_the_bytes_and_the_truth_of_an_undisturbed_run(tmp_path: Path, undisturbed: Path) -> None:
    with simulated(tmp_path, preset=DEMO) as simulation:
        for _ in range(4):
            simulation.run_for(30)
            simulation.start()
        assert exported(simulation, Stream.EVENTS) != dict.fromkeys(ISSUE_TYPES, 0)
    assert content(tmp_path / "data") == content(undisturbed)


def test_an_outage_is_caught_up_with_the_truth_of_an_undisturbed_run(tmp_path: Path, undisturbed: Path) -> None:
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.run_for(30)
        simulation.stop()
        simulation.run_for(90)
        simulation.start()
        simulation.run_for(0)
    assert content(tmp_path / "data") == content(undisturbed)


def test_a_lost_manifest_is_made_anew_with_the_same_counts_of_issues(tmp_path: Path) -> None:
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.run_for(120)
        before = {stream: simulation.dataset.manifest().head(stream).totals.issues for stream in Stream}
        simulation.stop()
        simulation.loaded.layout.manifest.unlink()
        after = {stream: simulation.dataset.manifest().head(stream).totals.issues for stream in Stream}
        assert after == before
        assert all(before.values())


# Crashes

CRASH = """
import os, sys
from pathlib import Path
from support.simulation import Simulation

folder, mark, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0

def crash(event, arguments):
    global seen
    if event == "os.rename" and mark in str(arguments[1]):
        seen += 1
        if seen == count:
            os._exit(9)

sys.addaudithook(crash)
Simulation(folder, preset="quality-demo").run_for(120)
"""


def crash_before_rename(folder: Path, into: str, count: int) -> None:
    """Run the demo in a process that dies right before its so-manieth rename into a folder."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY / 'lib'}{os.pathsep}{REPOSITORY / 'tests'}"}
    command = [sys.executable, "-c", CRASH, str(folder), into, str(count)]
    assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == 9


def go_on(folder: Path) -> Simulation:
    """Start both processes of a folder where its streams stand."""
    simulation = Simulation.__new__(Simulation)
    simulation.file = folder / "generator.toml"
    layout = simulation.loaded.layout
    heads = json.loads(layout.manifest.read_text())["heads"].values()
    simulation.clock = LogicalClock(max(NOON, *(head["stands_at"] for head in heads)))
    simulation.makers, simulation.outcomes = {}, []
    simulation.start()
    return simulation


@pytest.mark.parametrize("count", [1, 6])
@streams
def test_a_crash_between_the_truths_rename_and_the_batchs_leaves_no_batch_and_no_trace(
    tmp_path: Path, undisturbed: Path, stream: Stream, count: int
) -> None:
    # given a process that died after the truth was in place and before the batch was
    crash_before_rename(tmp_path, f"/raw/{stream}/", count)
    data = tmp_path / "data"
    orphans = set(truth_files(data, stream)) - {path.name for path in (data / "raw" / stream).iterdir()}
    assert len(orphans) == 1

    # when the processes start again
    simulation = go_on(tmp_path)

    # then the truth is gone, and what is made then is what an undisturbed run makes
    assert not orphans & set(truth_files(data, stream))
    assert list((data / ".staging").iterdir()) == []
    simulation.run_until(NOON + 120 * SECOND)
    assert content(data) == content(undisturbed)
    assert differences(simulation) == []
    simulation.stop()


@streams
def test_a_crash_before_the_truths_rename_leaves_neither(tmp_path: Path, undisturbed: Path, stream: Stream) -> None:
    crash_before_rename(tmp_path, f"/truth/{stream}/", 4)
    data = tmp_path / "data"
    assert len(truth_files(data, stream)) == len(list((data / "raw" / stream).iterdir())) == 3

    simulation = go_on(tmp_path)

    simulation.run_until(NOON + 120 * SECOND)
    assert content(data) == content(undisturbed)
    simulation.stop()


@streams
def test_a_crash_after_the_commit_counts_the_issues_of_the_batch_once(
    tmp_path: Path, undisturbed: Path, stream: Stream
) -> None:
    # given a batch that was published before a crash and recorded nowhere
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.run_for(60)
        layout = simulation.loaded.layout
        simulation.stop()
        earlier = layout.manifest.read_bytes()
        ledger = layout.ledger(stream).read_bytes()
        simulation.start(stream)
        simulation.run_for(10)
        simulation.stop()
        layout.manifest.write_bytes(earlier)
        layout.ledger(stream).write_bytes(ledger)

        # when the processes start again
        simulation.start()
        simulation.run_until(NOON + 120 * SECOND)

        # then its issues are counted with the others
        counted = sum((Counter(meta["issue_counts"]) for meta in simulation.metas(stream)), Counter[str]())
        assert exported(simulation, stream) == {kind: counted[kind] for kind in ISSUE_TYPES}
    assert content(tmp_path / "data") == content(undisturbed)


@streams
def test_the_truth_of_a_second_attempt_replaces_that_of_the_first(
    tmp_path: Path, undisturbed: Path, stream: Stream
) -> None:
    # given a truth that an attempt left where the next batch will be, in a process that goes on
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.run_for(60)
        layout = simulation.loaded.layout
        left = layout.truth(stream, batch_id(simulation.dataset.manifest().head(stream).stands_at))
        left.mkdir(parents=True)
        (left / "issues.jsonl").write_text('{"line": 1}\n')
        (left / "another file").write_text("")

        # when the batch is made
        simulation.run_for(60)

    # then its own truth is there and nothing else
    assert content(tmp_path / "data") == content(undisturbed)


def test_a_truth_left_by_a_crash_goes_even_if_quality_is_switched_off_meanwhile(tmp_path: Path) -> None:
    crash_before_rename(tmp_path, "/raw/events/", 5)
    file = tmp_path / "generator.toml"
    file.write_text(file.read_text().replace("enabled = true", "enabled = false"))

    simulation = go_on(tmp_path)
    simulation.run_for(60)

    data = tmp_path / "data"
    with_truth = [meta["batch_id"] for meta in metas(data, Stream.EVENTS) if meta["segment"] == 1]
    assert list(truth_files(data, Stream.EVENTS)) == with_truth
    simulation.stop()


# Verify, repair, clean


@pytest.fixture
def demo(tmp_path: Path, undisturbed: Path) -> Simulation:
    """The dataset of two minutes, for a test that spoils it; nobody makes it."""
    shutil.copytree(undisturbed.parent, tmp_path / "copy")
    simulation = Simulation.__new__(Simulation)
    simulation.file = tmp_path / "copy" / "generator.toml"
    return simulation


def some_batch(simulation: Simulation, stream: Stream) -> str:
    """Return a batch that has issues."""
    return str(next(meta["batch_id"] for meta in simulation.metas(stream) if meta["corrupted_count"] > 1))


def flip(path: Path) -> None:
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)


@streams
def test_verify_finds_no_difference_in_dirty_batches(demo: Simulation, stream: Stream) -> None:
    assert differences(demo) == []
    for entry in demo.dataset.ledgers[stream].batches():
        _, batch = remake(demo.dataset, demo.dataset.manifest(), stream, entry)
        folder = demo.loaded.layout.batch(stream, entry.batch_id)
        assert b"".join(piece.lines for piece in batch.pieces()) == (folder / f"{stream}.jsonl").read_bytes()


@streams
def test_verify_names_the_flipped_byte_of_a_truth_and_repair_puts_it_right(
    demo: Simulation, stream: Stream, undisturbed: Path
) -> None:
    name = some_batch(demo, stream)
    flip(demo.loaded.layout.truth(stream, name) / "issues.jsonl")

    found = list(check(demo.dataset, None))

    assert [str(each) for each in found] == [f"{stream} {name}: has changed bytes in its truth, issues.jsonl"]
    assert all(repair(demo.dataset, demo.dataset.manifest(), each) for each in found)
    assert differences(demo) == []
    assert content(demo.loaded.layout.data) == content(undisturbed)


@pytest.mark.parametrize("what", ["file", "folder", "tree"])
@streams
def test_verify_names_a_missing_truth_and_repair_restores_it(
    demo: Simulation, stream: Stream, what: str, undisturbed: Path
) -> None:
    folder = demo.loaded.layout.truth(stream, some_batch(demo, stream))
    if what == "file":
        (folder / "issues.jsonl").unlink()
    else:
        shutil.rmtree(folder if what == "folder" else folder.parent)

    found = list(check(demo.dataset, None))

    lost = 1 if what != "tree" else len(demo.metas(stream))
    assert [str(each).partition(": ")[2] for each in found] == ["lacks its truth, issues.jsonl"] * lost
    assert all(repair(demo.dataset, demo.dataset.manifest(), each) for each in found)
    assert differences(demo) == []
    assert content(demo.loaded.layout.data) == content(undisturbed)


@streams
def test_repair_restores_a_deleted_batch_with_its_truth(demo: Simulation, stream: Stream, undisturbed: Path) -> None:
    layout, name = demo.loaded.layout, some_batch(demo, stream)
    shutil.rmtree(layout.batch(stream, name))
    shutil.rmtree(layout.truth(stream, name))

    for each in check(demo.dataset, None):
        assert repair(demo.dataset, demo.dataset.manifest(), each)

    assert differences(demo) == []
    assert content(layout.data) == content(undisturbed)
    assert list(layout.staging.iterdir()) == []


@streams
def test_verify_names_counts_of_issues_that_were_changed_in_a_meta(demo: Simulation, stream: Stream) -> None:
    name = some_batch(demo, stream)
    path = demo.loaded.layout.batch_meta(stream, name)
    meta: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"corrupted_count": 0, "issue_counts": {}}))

    assert differences(demo) == [f"{stream} {name}: has a changed batch_meta.json: corrupted_count, issue_counts"]


def test_clean_removes_the_truth_with_its_batches(demo: Simulation) -> None:
    layout = demo.loaded.layout

    cleaned = clean(layout)

    assert {"raw", "truth"} <= set(cleaned.items)
    assert not (layout.data / "truth").exists()
    assert not list(layout.data.glob(".trash-*"))


def test_a_published_truth_is_a_rename_of_what_was_staged(demo: Simulation) -> None:
    # given a batch staged by hand in place of a published one
    layout, name = demo.loaded.layout, some_batch(demo, Stream.EVENTS)
    staged = layout.staging / "events-7"
    layout.batch(Stream.EVENTS, name).rename(staged_batch(staged))
    shutil.copytree(layout.truth(Stream.EVENTS, name), staged_truth(staged))
    inode = (staged_truth(staged) / "issues.jsonl").stat().st_ino

    # when it is published
    with permitted(layout) as permit:
        publish_batch(permit, layout, staged, Stream.EVENTS, name)

    # then the truth is that file, and nothing stays in staging
    assert (layout.truth(Stream.EVENTS, name) / "issues.jsonl").stat().st_ino == inode
    assert list(layout.staging.iterdir()) == []
    assert differences(demo) == []


# Backfill


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_backfill_gives_the_bytes_and_the_truth_of_a_live_run(tmp_path: Path, undisturbed: Path, jobs: int) -> None:
    with simulated(tmp_path, preset=DEMO) as simulation:
        simulation.stop()
        loaded = simulation.loaded
        end = NOON + 120 * SECOND
        with Backfill(loaded.layout, loaded.config, Span(NOON, end, None), end) as history:
            made = list(history.fill(history.begin(), jobs, die_with_parent))
        assert len(made) == sum(len(metas(undisturbed, stream)) for stream in Stream)
        assert content(loaded.layout.data) == content(undisturbed)
        assert [metas(loaded.layout.data, stream) for stream in Stream] == [metas(undisturbed, each) for each in Stream]
        assert differences(simulation) == []


# Edits


def clean_lines(simulation: Simulation, stream: Stream, entry: BatchEntry) -> bytes:
    _, batch = remake(simulation.dataset, simulation.dataset.manifest(), stream, entry)
    return b"".join(bytes(chunk) for chunk in batch.clean_lines())


def test_quality_switched_on_and_off_opens_segments_over_the_same_clean_records(tmp_path: Path) -> None:
    # given a run that is switched on, changed and switched off again, and one that never is
    with simulated(tmp_path / "never", preset="emulated") as never:
        never.run_for(240)
    edits = [{"enabled": "true"}, {"event_error_rate": "0.9", "company_error_rate": "0.9"}, {"enabled": "false"}]
    with simulated(tmp_path / "edited", preset="emulated") as edited:
        edited.run_for(60)
        for edit in edits:
            edited.edit(**edit)
            edited.start()
            edited.run_for(60)
        assert differences(edited) == []
        assert len(edited.dataset.manifest().segments) == 4

        for stream in Stream:
            # then the truth lies beside the batches of the dirty segments alone
            dirty = [meta["batch_id"] for meta in edited.metas(stream) if meta["segment"] in (2, 3)]
            assert list(truth_files(edited.loaded.layout.data, stream)) == dirty
            corrupted = Counter[int]()
            for meta in edited.metas(stream):
                corrupted[meta["segment"]] += meta["corrupted_count"]
            assert corrupted[1] == corrupted[4] == 0 < corrupted[2] < corrupted[3]

            # and beneath lie the records of the run that never had quality, where the intervals agree
            agreeing = 0
            for entry in edited.dataset.ledgers[stream].batches():
                twin = tmp_path / "never" / "data" / "raw" / stream / entry.batch_id
                meta = json.loads((twin / "batch_meta.json").read_text()) if twin.exists() else {}
                if meta.get("interval_end") == entry.end and meta["batch_number"] == entry.batch_number:
                    assert clean_lines(edited, stream, entry) == (twin / f"{stream}.jsonl").read_bytes()
                    agreeing += 1
            assert agreeing >= 20


@streams
def test_replay_prints_the_batch_and_its_clean_twin(demo: Simulation, stream: Stream) -> None:
    name = some_batch(demo, stream)
    entry = require_entry(demo.dataset, stream, name)
    command = [*FLEETGEN, "replay", stream, name, "--config", str(demo.file)]

    published = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    twin = subprocess.run([*command, "--clean"], capture_output=True, timeout=60, check=True).stdout

    assert published == (demo.loaded.layout.batch(stream, name) / f"{stream}.jsonl").read_bytes()
    assert twin == clean_lines(demo, stream, entry) != published
