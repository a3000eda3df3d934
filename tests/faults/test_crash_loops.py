"""A process that fails by itself at its start is slowed, says why, and goes on when the cause is gone; a kill is free."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from fleetgen.domain.records import Stream
from support.edits import assert_intervals_tile, dataset_of, lines_of_kind, whole_log
from support.event_stream import reasons
from support.patience import wait_for
from support.sets import RunningSet, running_set

SECONDS = 10
KILLS = 30
EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "5"}

Undo = Callable[[], None]


def folder_becomes_a_file(running: RunningSet) -> Undo:
    folder = running.data / "raw" / "events"
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("a file where the batches of events should be\n")

    def undo() -> None:
        folder.unlink()
        aside.rename(folder)

    return undo


def manifest_of_the_future(running: RunningSet) -> Undo:
    path = running.data / "manifests" / "generator_state.json"
    return changed(path, json.dumps(running.manifest() | {"schema_version": 99}).encode())


def damaged_ledger(running: RunningSet) -> Undo:
    path = running.data / "manifests" / "ledger" / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    return changed(path, b"".join(lines[:-1]) + lines[-1][40:])


def heartbeat_cannot_be_written(running: RunningSet) -> Undo:
    path = running.folder / "run" / "driver.heartbeat"
    path.unlink()
    path.mkdir()
    return lambda: shutil.rmtree(path)


def changed(path: Path, content: bytes) -> Undo:
    before = path.read_bytes()
    path.write_bytes(content)

    def undo() -> None:
        path.write_bytes(before)

    return undo


CAUSES: dict[Callable[[RunningSet], Undo], str] = {
    folder_becomes_a_file: "Not a directory",
    manifest_of_the_future: "schema version 99",
    damaged_ledger: "line that is no entry",
    heartbeat_cannot_be_written: "Is a directory",
}
"""How a process is kept from starting, and what the terminal must say of it."""

Cause = Callable[[RunningSet], Undo]


@dataclass(frozen=True)
class Broken:
    """A set that was kept from going on for some seconds, what it did meanwhile, and what it had made by then."""

    running: RunningSet
    starts: int
    output: str
    log: str
    batches: int


each_cause = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)


@pytest.fixture(scope="module")
def broken() -> Iterator[dict[Cause, Broken]]:
    """Sets that worked, were stopped, were started although something was broken, and then had it mended."""
    with ExitStack() as stack:
        sets = {cause: stack.enter_context(RunningSet(**EVERY_SECOND)) for cause in CAUSES}
        for running in sets.values():
            running.start(wait=False)
        for running in sets.values():
            wait_for(partial(has_batches, running), 30, "Some batches")
        undo: dict[Cause, Undo] = {}
        for cause, running in sets.items():
            running.stop()
            (running.folder / "output").unlink()
            (running.folder / "run" / "supervisord.log").unlink()
            undo[cause] = cause(running)
        for running in sets.values():
            running.start(wait=False)
        time.sleep(SECONDS)
        for cause, running in sets.items():
            wait_for(partial(told_why, running, cause), 20, "The cause on the terminal")
        yield {cause: mended(running, undo[cause]) for cause, running in sets.items()}


def mended(running: RunningSet, mend: Undo) -> Broken:
    """Note what a broken set has done, and mend it."""
    spawned = (running.folder / "run" / "supervisord.log").read_text().count("spawned: 'driver'")
    output, log = running.output, json.dumps(whole_log(running, "driver"))
    mend()
    return Broken(running, spawned, output, log, running.batch_count("events"))


def told_why(running: RunningSet, cause: Cause) -> bool:
    return CAUSES[cause] in running.output


def has_batches(running: RunningSet) -> bool:
    return running.batch_count("events") > 2


def other_pid(running: RunningSet, process: str, last: int) -> int | None:
    pid = running.pids().get(process)
    return pid if pid != last else None


@each_cause
def test_a_process_that_cannot_start_is_tried_a_handful_of_times_in_ten_seconds(
    broken: dict[Cause, Broken], cause: Cause
) -> None:
    assert 1 <= broken[cause].starts <= 5


@each_cause
def test_terminal_and_log_say_why_a_process_cannot_start(broken: dict[Cause, Broken], cause: Cause) -> None:
    assert CAUSES[cause] in broken[cause].output
    assert CAUSES[cause] in broken[cause].log


@each_cause
def test_a_process_goes_on_by_itself_when_the_cause_is_gone(broken: dict[Cause, Broken], cause: Cause) -> None:
    running, before = broken[cause].running, broken[cause].batches
    wait_for(lambda: running.batch_count("events") > before, 45, "A further batch")
    for stream in Stream:
        assert_intervals_tile(dataset_of(running), stream)


def test_thirty_kills_in_quick_succession_are_never_slowed() -> None:
    with RunningSet(**EVERY_SECOND, catch_up_limit="1000") as running:
        running.start()
        wait_for(partial(has_batches, running), 20, "Some batches")
        began, last = time.monotonic(), dict.fromkeys(running.ports, 0)
        for process in [*running.ports] * (KILLS // 2):
            last[process] = wait_for(partial(other_pid, running, process, last[process]), 10, f"Another {process}")
            os.kill(last[process], signal.SIGKILL)
        assert time.monotonic() - began < 120
        before = running.batch_count("events")
        wait_for(lambda: running.batch_count("events") > before, 15, "A batch after the kills")
        for process in running.ports:
            assert lines_of_kind(running, process, "crash_loop") == []
            record = running.folder / "run" / f"{process}.failures.json"
            wait_for(lambda: not record.exists(), 5, "The end of the record")  # noqa: B023
            assert lines_of_kind(running, process, "death")
        assert running.output.count("it is started again") == KILLS
        assert running.output.count("killed by signal 9 (SIGKILL), not by fleetgen; it is started again") == KILLS
        assert "cannot be started" not in running.output
        assert running.ctl("status").count("RUNNING") == 2


def test_a_process_that_crashes_in_a_library_is_slowed_and_told_of_everywhere() -> None:
    with running_set(control=True, **EVERY_SECOND) as running:
        wait_for(partial(has_batches, running), 20, "Some batches")
        for count in range(1, 4):
            os.kill(running.pids()["driver"], signal.SIGSEGV)
            wait_for(lambda: len(slowed(running)) == count, 20, "The next one's first words")  # noqa: B023
        # what supervisord saw is on the terminal, and in the log of the next process, which waits ever longer
        assert running.output.count("crashed by signal 11 (SIGSEGV); it is started again") == 3
        assert [text.rpartition("waits ")[2] for text in slowed(running)] == ["1 s", "2 s", "4 s"]
        assert "died: crashed by signal 11 (SIGSEGV); it waits 4 s" in slowed(running)[-1]

        told = wait_for(lambda: reasons(running).get("process_deaths"), 5, "The reason")
        assert "driver died 3 times within 5 minutes, the last time crashed by signal 11 (SIGSEGV)" in told
        with urlopen(f"http://127.0.0.1:{running.control_port}/metrics", timeout=5) as answer:
            assert 'fleetgen_process_deaths_total{cause="crash",process="driver"} 3.0' in answer.read().decode()
        before = running.batch_count("events")
        wait_for(lambda: running.batch_count("events") > before, 20, "A further batch")
        record = running.folder / "run" / "driver.failures.json"
        wait_for(lambda: not record.exists(), 5, "The end of the record")


def slowed(running: RunningSet) -> list[str]:
    """Return what the drivers have said about waiting because of those before them."""
    return [line["event"] for line in lines_of_kind(running, "driver", "crash_loop")]
