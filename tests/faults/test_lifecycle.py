"""Pause, clean and resume while everything else happens: under load, by several at once, and cut in two by kill -9."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fleetgen.config.loading import load
from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import SECOND, Stream
from fleetgen.generation import lifecycle
from fleetgen.generation.checking import check
from fleetgen.generation.cleaning import clean
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.layout import Layout
from support.configs import tree
from support.dying_maker import die_at_step, in_child
from support.edits import assert_intervals_tile, dataset_of, whole_log
from support.event_stream import answers, ask, asked, health
from support.patience import Watch, wait_for
from support.sets import RunningSet, running_set
from support.simulation import NOON, Simulation, simulated

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
CYCLES = 50 if SOAK else 4
CUTS = 30 if SOAK else 2
STRIDE = 1 if SOAK else 4
SECONDS = 30 if SOAK else 5
MEMORY = Path("/dev/shm")

EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "5"}
LOAD = EVERY_SECOND | {"events_per_batch": "{ min = 20000, max = 30000 }", "catch_up_limit": "1000"}

Names = frozenset[str]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where the system has that."""
    with TemporaryDirectory(prefix="fg-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    """A set under load with a control process."""
    with running_set(control=True, pipeline=False, **LOAD) as each:
        each.configure_table("quality", enabled="true")
        wait_for(lambda: answers(each), 10, "The control process")
        yield each


def batches(running: RunningSet) -> Names:
    """Return the batches that can be seen."""
    names: set[str] = set()
    for stream in Stream:
        with suppress(OSError):
            names |= {f"{stream}/{entry.name}" for entry in os.scandir(running.data / "raw" / stream)}
    return frozenset(names)


def runs(running: RunningSet) -> None:
    """Fail unless both streams get a further batch."""
    before = {stream: running.batch_count(stream) for stream in Stream}
    wait_for(lambda: all(running.batch_count(each) > before[each] for each in Stream), 20, "A further batch")


def assert_sound(running: RunningSet) -> None:
    """A paused set has a valid manifest, ledgers that tile time, and every batch as it was made."""
    for stream in Stream:
        assert_intervals_tile(dataset_of(running), stream)
    said = running.call("verify", "--all", check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert list((running.data / ".staging").iterdir()) == []


def errors(running: RunningSet) -> list[str]:
    """Return what the processes of a set have logged as errors."""
    processes = ("company", "driver", "control")
    return [line["event"] for process in processes for line in whole_log(running, process) if line["level"] == "error"]


# A clean that dies


@pytest.fixture(scope="module")
def paused_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a paused dataset with truth, tables, two segments, and logs."""
    folder = tmp_path_factory.mktemp("paused")
    with simulated(folder, preset="quality-demo") as simulation:
        simulation.run_for(15)
        simulation.edit(companies_per_batch="7")
        simulation.start()
        simulation.run_for(15)
        data = simulation.loaded.layout.data
        for table in ("staged/companies", "processed/activity"):
            (data / table).mkdir(parents=True)
            (data / table / "part-0.parquet").write_bytes(b"PAR1")
        (data / "manifests" / "logs").mkdir()
        (data / "manifests" / "logs" / "driver.jsonl").write_text("{}\n")
        lifecycle.pause(simulation.dataset, simulation.clock.now(), "to clean")
    return folder


def resume(simulation: Simulation) -> None:
    lifecycle.resume(simulation.dataset, simulation.clock.now(), simulation.loaded.config)


def gone_on_with(folder: Path) -> AbstractContextManager[Simulation]:
    """Start the generators of the paused dataset a minute later."""
    return simulated(folder, preset="quality-demo", start=NOON + 60 * SECOND, companies_per_batch="7")


def start(folder: Path) -> None:
    """Start the generators, which stay paused."""
    with gone_on_with(folder):
        pass


def clean_again(folder: Path) -> None:
    clean(Layout(folder / "data"))
    start(folder)


def resume_and_pause(folder: Path) -> None:
    """Let people change their minds before anybody has put anything right; start the generators."""
    loaded = load(folder / "generator.toml")
    dataset = Dataset(loaded.layout)
    lifecycle.resume(dataset, NOON + 50 * SECOND, loaded.config)
    lifecycle.pause(dataset, NOON + 50 * SECOND, "to clean")
    start(folder)


def dies_in_clean(folder: Path, number: int) -> bool:
    """Clean in a process that is killed just before its N-th step on the disk; return whether it got there."""

    def die() -> None:
        die_at_step(folder / "data", number)
        clean(Layout(folder / "data"))

    return in_child(die)


def dataset_files(folder: Path) -> dict[str, bytes | str]:
    """Return the dataset's files, but for the manifest, locks and empty folders."""
    found = tree(folder / "data")
    return {
        name: content
        for name, content in found.items()
        if isinstance(content, bytes) and not name.endswith((".lock", "generator_state.json", "logs/driver.jsonl"))
    }


@pytest.mark.soak
@pytest.mark.parametrize("go_on", [start, clean_again, resume_and_pause])
def test_a_clean_killed_before_any_step_is_finished_at_the_next_start_or_never_began(
    paused_dataset: Path, folder: Path, go_on: Callable[[Path], None]
) -> None:
    before, began = dataset_files(paused_dataset), False
    for number in count(1, STRIDE):
        # given a clean that was killed a step later each time
        life = folder / str(number)
        shutil.copytree(paused_dataset, life)
        killed = dies_in_clean(life, number)

        # when somebody goes on
        go_on(life)

        # then the dataset is whole, or gone to the last file; once it has begun to go, it goes
        began = began or go_on is clean_again or dataset_files(life) != before
        assert dataset_files(life) == ({} if began else before), number
        assert not list((life / "data").glob(".trash*")), number
        assert (life / "data" / "manifests" / "logs" / "driver.jsonl").read_text() == "{}\n"
        assert_goes_on(life, number)
        shutil.rmtree(life)
        if not killed:
            break
    assert began
    assert number > 20


def assert_goes_on(folder: Path, number: int) -> None:
    """The dataset is still paused; once resumed, it is what an undisturbed one is."""
    with gone_on_with(folder) as simulation:
        simulation.run_for(20)
        manifest = simulation.dataset.manifest()
        assert (manifest.desired.paused, manifest.desired.pause_reason, manifest.cleaning) == (True, "to clean", None)
        resume(simulation)
        simulation.run_for(20)
        assert [str(each) for each in check(simulation.dataset, None)] == [], number
        for stream in Stream:
            numbers = [meta["batch_number"] for meta in simulation.metas(stream)]
            assert numbers == list(range(len(numbers)))
            assert len(numbers) >= 2


def test_kills_of_the_control_process_while_it_cleans_leave_nothing_behind(running: RunningSet) -> None:
    # given moments, spread over a clean, that every run repeats
    moments = Address(11, Origin.EVENTS, 0, Purpose.EVENT_COUNT).draws(CUTS)[0].tolist()
    for moment in moments:
        wait_for(lambda: answers(running), 15, "The control process")
        asked(running, "POST", "/resume")
        runs(running)
        asked(running, "POST", "/pause")
        before = running.manifest()["dataset_id"]

        # when the control process is killed
        pid = wait_for(lambda: control_pid(running), 5, "The pid of the control process")
        with ThreadPoolExecutor() as pool:
            pool.submit(suppressed, partial(ask, running, "POST", "/clean"))
            time.sleep(moment / 2**32 * 0.08)
            os.kill(pid, signal.SIGKILL)
        wait_for(partial(answers_anew, running, pid), 15, "Another control process")

        # then the next clean finds all of it or nothing, and leaves nothing
        cleaned = asked(running, "POST", "/clean")
        assert (cleaned["success"], cleaned["errors"]) == (True, [])
        assert running.manifest()["dataset_id"] != before
        assert left_of_dataset(running) == []
    asked(running, "POST", "/resume")
    runs(running)
    asked(running, "POST", "/pause")
    assert_sound(running)
    asked(running, "POST", "/resume")


def answers_anew(running: RunningSet, pid: int) -> bool:
    """Whether another control process than this one answers."""
    return answers(running) and control_pid(running) not in (0, pid)


def suppressed(call: Callable[[], object]) -> None:
    with suppress(OSError, ValueError):
        call()


def control_pid(running: RunningSet) -> int:
    """Return the pid of the control process; 0 while it has not looked at the processes yet."""
    return next((int(each["pid"] or 0) for each in health(running)["processes"] if each["name"] == "control"), 0)


def left_of_dataset(running: RunningSet) -> list[str]:
    """Return what there is of a dataset and of its trash."""
    layout = Layout(running.data)
    return [str(path) for path in (*layout.dataset_parts, *layout.data.glob(".trash*")) if path.exists()]


# Again and again


@pytest.mark.soak
def test_pause_clean_and_resume_under_load_again_and_again(running: RunningSet) -> None:
    asked(running, "POST", "/resume")
    ids = {running.manifest()["dataset_id"]}
    begun, faults = health(running)["auto_reinit_count"], errors(running)
    for cycle in range(1, CYCLES + 1):
        runs(running)

        # no batch appears once the answer to the pause is there
        watch = Watch()
        asked(running, "POST", "/pause", {"reason": f"cycle {cycle}"})
        assert watch.within(2)
        before = batches(running)
        time.sleep(1.1)
        assert batches(running) == before
        if cycle % 10 == 1:
            assert_sound(running)

        # everything goes, and a second clean has nothing to do
        cleaned = asked(running, "POST", "/clean")
        assert cleaned["success"]
        assert {"raw", "truth", "manifests/ledger", "manifests/segments"} <= set(cleaned["deleted_items"])
        assert asked(running, "POST", "/clean")["deleted_count"] == 0
        assert left_of_dataset(running) == []
        ids.add(running.manifest()["dataset_id"])

        # the first batches are there at once
        watch = Watch()
        resumed = asked(running, "POST", "/resume")
        assert watch.within(2)
        assert resumed["extra"]["baseline_actions"] == ["companies:5", "driver_batch:1"]
        wait_for(lambda: len(batches(running)) >= 2, 5, "The first batches")
        noted = health(running)
        assert (noted["auto_reinit_count"], noted["auto_reinit"]["performed"]) == (begun + cycle, True)
    runs(running)
    asked(running, "POST", "/pause")
    assert_sound(running)
    assert len(ids) == CYCLES + 1
    assert errors(running) == faults
    asked(running, "POST", "/resume")


# By whatever way


def over_http(running: RunningSet, action: str) -> None:
    asked(running, "POST", f"/{action}")


def on_command_line(running: RunningSet, action: str) -> None:
    running.call(action)


def by_signal(process: str, running: RunningSet, action: str) -> None:
    os.kill(running.pids()[process], signal.SIGUSR1 if action == "pause" else signal.SIGUSR2)


WAYS: dict[str, Callable[[RunningSet, str], None]] = {
    "HTTP": over_http,
    "command line": on_command_line,
    "signal to company": partial(by_signal, "company"),
    "signal to driver": partial(by_signal, "driver"),
}


def is_paused(running: RunningSet, paused: bool = True) -> bool:
    return bool(running.manifest()["desired"]["paused"]) == paused


@pytest.mark.parametrize("way", WAYS)
def test_a_pause_and_a_resume_by_any_way_take_effect_in_two_seconds(running: RunningSet, way: str) -> None:
    asked(running, "POST", "/resume")
    wait_for(lambda: loops(running), 10, "The loops of the processes")

    WAYS[way](running, "pause")
    wait_for(lambda: is_paused(running), 2, f"The pause by {way}")
    before = batches(running)
    time.sleep(1.1)
    assert batches(running) == before

    WAYS[way](running, "resume")
    wait_for(lambda: is_paused(running, False), 2, f"The resume by {way}")
    wait_for(lambda: len(batches(running) - before) >= 2, 4, "The next batches")


def loops(running: RunningSet) -> bool:
    """Whether the generators that live now have begun to turn their loops."""
    pids = running.pids()
    beats = [(running.folder / "run" / f"{name}.heartbeat").read_text() for name in pids]
    return [beat.split()[0] for beat in beats] == [str(pid) for pid in pids.values()]


def test_a_pause_outlives_kill_9_of_every_process_and_the_set(running: RunningSet) -> None:
    asked(running, "POST", "/resume")
    runs(running)
    running.call("pause", "--reason", "night")
    before = batches(running)

    pids = {*running.pids().values(), wait_for(lambda: control_pid(running), 5, "The pid of the control process")}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: answers(running) and len({*running.pids().values()} - pids) == 2, 15, "The return of the processes"
    )
    time.sleep(1.1)
    running.stop()
    running.start()
    wait_for(lambda: answers(running), 10, "The control process")
    time.sleep(1.1)

    assert batches(running) == before
    told = health(running)
    assert (told["status"], told["lifecycle"]["pause_reason"]) == ("paused", "night")
    asked(running, "POST", "/resume")
    runs(running)
    assert set(running.manifest()["heads"]["events"]["totals"]["missed"]) == {"paused"}


# By several at once


class PausedSpans:
    """Watches the manifest and the folders; notes the batches that were seen in each paused span."""

    def __init__(self, running: RunningSet) -> None:
        self.seen: dict[int, set[Names]] = {}
        self._running = running
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "PausedSpans":
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            before = self._paused_at()
            names = batches(self._running)
            if before is not None and self._paused_at() == before:
                self.seen.setdefault(before, set()).add(names)

    def _paused_at(self) -> int | None:
        desired = self._running.manifest()["desired"]
        return desired["paused_at"] if desired["paused"] else None


@pytest.mark.soak
def test_two_clients_that_pause_and_resume_at_once_end_in_a_consistent_state(running: RunningSet) -> None:
    asked(running, "POST", "/resume")
    faults = errors(running)
    deadline = time.monotonic() + SECONDS
    with PausedSpans(running) as spans, ThreadPoolExecutor() as pool:
        clients = [pool.submit(pauses_and_resumes, running, client, deadline) for client in range(2)]
        answered = [answer for client in clients for answer in client.result()]
        asked(running, "POST", "/pause")
        time.sleep(1.2)

    # then every call was answered well, and no batch appeared in any paused span
    assert {(answer["success"], answer["error"]) for answer in answered} == {(True, None)}
    assert len({answer["message"] for answer in answered}) == 4
    assert len(spans.seen) > SECONDS
    assert {at: len(seen) for at, seen in spans.seen.items() if len(seen) > 1} == {}
    assert_sound(running)
    assert errors(running) == faults
    asked(running, "POST", "/resume")
    runs(running)


def pauses_and_resumes(running: RunningSet, client: int, deadline: float) -> list[dict[str, Any]]:
    """Pause and resume in turn, each client in a rhythm of its own; return the answers."""
    answered = []
    while time.monotonic() < deadline:
        for action in ("pause", "resume"):
            answered.append(asked(running, "POST", f"/{action}"))
            time.sleep((0.11, 0.17)[client])
    return answered
