"""What /api/health says of a running set, and of everything that can be wrong with it: each reason comes and goes."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND, Stream
from fleetgen.web.known.following import Follower
from fleetgen.web.known.health import health as health_of
from fleetgen.web.known.streams import Hub
from fleetgen.web.known.supervised import HUNG_SECONDS, Supervised
from support.disks import can_mount, fill, small_disk
from support.edits import assert_intervals_tile, dataset_of
from support.event_stream import answers, asked, health, reasons
from support.patience import Watch, wait_for
from support.sets import RunningSet, running_set
from support.simulation import simulated

EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "5"}
DISK_BYTES = 64 * 1024 * 1024


def comes(running: RunningSet, code: str, seconds: float = 3) -> str:
    """Return the detail of a reason that comes in time."""
    return wait_for(lambda: reasons(running).get(code), seconds, f"The reason {code}")


def is_well(running: RunningSet) -> bool:
    with suppress(OSError):
        return bool(health(running)["status"] == "running")
    return False


def becomes_well(running: RunningSet, seconds: float = 3) -> None:
    """Fail unless the set is without any reason in time."""
    wait_for(lambda: is_well(running), seconds, "A healthy set")


def goes_on(running: RunningSet) -> None:
    before = {stream: running.batch_count(stream) for stream in Stream}
    wait_for(lambda: all(running.batch_count(stream) > before[stream] for stream in Stream), 20, "Further batches")


def process(running: RunningSet, name: str) -> dict[str, Any]:
    """Return what is said of a process."""
    return next(each for each in health(running)["processes"] if each["name"] == name)


@contextmanager
def healthy_set(**settings: str) -> Iterator[RunningSet]:
    """A set that has made batches and is well."""
    with running_set(control=True, pipeline=False, **(EVERY_SECOND | settings)) as each:
        wait_for(lambda: answers(each), 10, "The control process")
        goes_on(each)
        yield each


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningSet]:
    with healthy_set() as each:
        yield each


@pytest.fixture
def running(shared: RunningSet) -> RunningSet:
    """A set that is well; so it is after each test."""
    becomes_well(shared, 15)
    return shared


# What it says of a set that is well


def test_what_it_tells_is_what_lies_on_the_disk(running: RunningSet) -> None:
    asked(running, "POST", "/pause", {"reason": "to count"})
    try:
        manifest = running.manifest()
        told = wait_for(lambda: counted(running, manifest), 2, "The totals of the manifest")
        for name, stream in (("company_generator", "companies"), ("driver_generator", "events")):
            folders = sorted((running.data / "raw" / stream).iterdir())
            lines = sum((folder / f"{stream}.jsonl").read_bytes().count(b"\n") for folder in folders)
            facts = told[name]
            assert (facts["total_batches"], facts["total_records"]) == (len(folders), lines)
            assert facts["last_batch_id"] == folders[-1].name
            assert 0 <= facts["idle_seconds"] < 10
        assert (told["status"], told["reasons"]) == ("paused", [])
        assert (told["lifecycle"]["paused"], told["lifecycle"]["pause_reason"]) == (True, "to count")
        assert told["dataset_id"] == manifest["dataset_id"]
        assert told["verification"]["missing"] == []
        assert told["verification"]["event_file_count"] == told["driver_generator"]["total_batches"]
        assert told["emulated_config"]["companies_per_batch"] == 5
        assert json.loads((running.data / told["state"]["state_file"]).read_text()) == manifest
    finally:
        asked(running, "POST", "/resume")


def counted(running: RunningSet, manifest: dict[str, Any]) -> dict[str, Any] | None:
    told = health(running)
    batches = [told[name]["total_batches"] for name in ("company_generator", "driver_generator")]
    return (
        told
        if told["lifecycle"]["paused"] and batches == [head["next_batch"] for head in manifest["heads"].values()]
        else None
    )


def paced(running: RunningSet) -> dict[str, Any] | None:
    cadence: dict[str, Any] = health(running)["cadence"]
    return cadence if 110 < (cadence["batches_per_minute"] or 0) < 130 else None


def test_processes_have_their_pids_and_a_kill_is_counted_as_a_restart(running: RunningSet) -> None:
    for name in ("company", "driver"):
        before = process(running, name)
        assert (before["state"], before["pid"]) == ("RUNNING", running.pids()[name])
        os.kill(before["pid"], signal.SIGKILL)
        wait_for(lambda: process(running, name)["restarts"] == before["restarts"] + 1, 3, "The restart")  # noqa: B023
        wait_for(lambda: process(running, name)["pid"] == running.pids().get(name), 3, "The new pid")  # noqa: B023


# What can be wrong with it


@pytest.mark.parametrize("name", ["company", "driver"])
def test_a_stopped_process_is_named_until_it_is_started(running: RunningSet, name: str) -> None:
    running.ctl("stop", name)
    try:
        remedy = f"supervisorctl start {name}"
        wait_for(lambda: remedy in reasons(running).get("process_down", ""), 3, "The reason process_down")
        assert health(running)["status"] == "degraded"
        wait_for(lambda: process(running, name)["pid"] is None, 3, "The end of the process")
    finally:
        running.ctl("start", name)
    becomes_well(running)


def test_an_invalid_edit_is_told_with_its_fault_until_it_is_corrected(running: RunningSet) -> None:
    text, digest = running.config.read_text(), health(running)["config"]["digest"]
    running.config.write_text(text.replace('mode = "emulated"', 'mode = "nonsense"'))
    assert "nonsense" in comes(running, "config_invalid")
    config = health(running)["config"]
    assert (config["valid"], config["digest"]) == (False, digest)
    assert "nonsense" in config["error"]
    goes_on(running)

    running.config.write_text(text)
    becomes_well(running)
    config = health(running)["config"]
    assert (config["valid"], config["error"], config["digest"]) == (True, None, digest)


def test_a_supervisord_that_does_not_answer_is_told_until_it_does(running: RunningSet) -> None:
    assert running.process is not None
    running.process.send_signal(signal.SIGSTOP)
    try:
        assert "does not answer" in comes(running, "supervisor_unreachable", 12)
        watch = Watch()
        health(running)
        assert watch.within(1)
    finally:
        running.process.send_signal(signal.SIGCONT)
    becomes_well(running, 8)


def test_a_process_that_fails_again_and_again_is_told_until_it_works(running: RunningSet) -> None:
    # given a driver that cannot write its heartbeat, whenever it is started
    running.ctl("stop", "driver")
    heartbeat = running.folder / "run" / "driver.heartbeat"
    heartbeat.unlink()
    heartbeat.mkdir()
    running.ctl("start", "driver")

    assert "driver has failed" in comes(running, "crash_loop", 10)
    assert process(running, "driver")["restarts"] >= 1
    assert process(running, "company")["state"] == "RUNNING"

    shutil.rmtree(heartbeat)
    becomes_well(running, 20)
    goes_on(running)


# With a set of their own, all at once


def full_disk(folder: Path) -> None:
    with (
        RunningSet(control=True, pipeline=False, **EVERY_SECOND, catch_up_limit="1000", min_free_bytes="0") as running,
        small_disk(running.data, DISK_BYTES),
    ):
        running.start()
        goes_on(running)
        becomes_well(running)

        # nearly full: said before anything fails
        filling = running.data / "filling"
        fill(filling, leave=8 * 1024 * 1024)
        assert str(running.data) in comes(running, "disk_full")
        goes_on(running)

        # full: no batch can be made, but the answer is there
        fill(filling, leave=0)
        time.sleep(2)
        assert set(reasons(running)) >= {"disk_full"}
        assert answers(running)

        filling.unlink()
        wait_for(lambda: "disk_full" not in reasons(running) and answers(running), 3, "The end of disk_full")
        goes_on(running)
        becomes_well(running, 10)
        assert_sound(running)
        running.stop()


def slow_clock(folder: Path) -> None:
    with healthy_set() as running:
        # given a dataset that was made while the clock was fast, in the place of the present one
        running.ctl("stop", "company", "driver")
        with simulated(folder, start=system_now() + 12 * SECOND, **EVERY_SECOND) as ahead:
            ahead.run_for(6)
            for name in ("raw", "manifests/ledger", "manifests/segments"):
                shutil.rmtree(running.data / name)
            shutil.copytree(ahead.loaded.layout.data, running.data, dirs_exist_ok=True)
        end = running.manifest()["heads"]["events"]["stands_at"]
        assert comes(running, "clock_behind").startswith("The clock stands ")
        assert system_now() < end

        # then nothing is made until the clock has caught up, and the reason goes
        before = running.batch_count("events")
        running.ctl("start", "company", "driver")
        wait_for(lambda: "clock_behind" not in reasons(running), 30, "The end of clock_behind")
        assert system_now() > end - 2 * SECOND
        assert running.batch_count("events") - before <= 1
        becomes_well(running, 10)
        goes_on(running)
        assert_sound(running)


def lose_manifest(running: RunningSet) -> bool:
    """Delete the manifest and return whether that is told of; not if a batch was just being recorded, and wrote it anew."""
    (running.data / "manifests" / "generator_state.json").unlink(missing_ok=True)
    with suppress(AssertionError):
        return bool(comes(running, "manifest_rebuilt", 4))
    return False


def lost_manifest(folder: Path) -> None:
    with healthy_set(catch_up_limit="1000") as running:
        becomes_well(running)
        wait_for(lambda: lose_manifest(running), 30, "The reason manifest_rebuilt")
        assert "made anew" in comes(running, "manifest_rebuilt")
        goes_on(running)
        assert set(reasons(running)) == {"manifest_rebuilt"}
        (rebuilt_at, now) = running.manifest()["rebuilt_at"], system_now()
        running.call("pause")
        for later, shown in ((3590, {"manifest_rebuilt"}), (3601, set())):
            assert reasons_at(running, rebuilt_at + later * SECOND) == shown, later
        assert now - rebuilt_at < 30 * SECOND


def hung_process(folder: Path) -> None:
    with healthy_set() as running:
        pid = running.pids()["driver"]
        os.kill(pid, signal.SIGSTOP)
        assert "driver" in comes(running, "process_hung", HUNG_SECONDS + 5)
        assert process(running, "driver")["state"] == "RUNNING"
        assert set(reasons(running)) == {"process_hung"}

        os.kill(pid, signal.SIGCONT)
        becomes_well(running)
        goes_on(running)
        assert running.pids()["driver"] == pid


def steady_pace(folder: Path) -> None:
    with healthy_set() as running:
        cadence = wait_for(partial(paced, running), 25, "A steady pace")
        assert cadence["records_per_second"] > 5
        assert 0 <= cadence["start_lag_p99_seconds"] < 1


def late_stream(folder: Path) -> None:
    with healthy_set() as running:
        due = running.manifest()["heads"]["events"]["stands_at"] + SECOND
        assert reasons_at(running, due + 12 * SECOND) == set()
        assert reasons_at(running, due + 20 * SECOND) == {"stream_late"}
        running.call("pause")
        assert reasons_at(running, due + 40 * SECOND) == set()


def reasons_at(running: RunningSet, moment: int) -> set[str]:
    """Return the reasons that would be given at another instant, were everything as it is now."""
    follower = Follower(load(running.config), None, Hub("test"))
    follower.look()
    told = health_of(follower, Supervised(), moment, stopping=False, now=moment)
    return {reason.code for reason in told.reasons}


def assert_sound(running: RunningSet) -> None:
    running.call("pause")
    for stream in Stream:
        assert_intervals_tile(dataset_of(running), stream)
    assert running.call("verify", "--all", check=False).returncode == 0


STORIES: dict[str, Callable[[Path], None]] = {
    "test_its_cadence_is_that_of_two_streams_with_a_batch_a_second": steady_pace,
    "test_a_hung_process_is_named_until_it_goes_on": hung_process,
    "test_a_full_disk_is_told_before_it_is_full_and_until_there_is_room": full_disk,
    "test_a_clock_behind_the_last_interval_is_told_until_it_has_caught_up": slow_clock,
    "test_a_manifest_that_was_made_anew_is_told_of_for_an_hour": lost_manifest,
    "test_a_stream_that_is_long_overdue_is_late_unless_it_is_paused": late_stream,
}
"""What consists of waiting, by the test that tells how it ended."""


@pytest.fixture(scope="module", autouse=True)
def stories(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """The stories of the tests that were asked for; they go on beside the other tests, each with a set of its own."""
    wanted = {item.name: tmp_path_factory.mktemp("story") for item in request.session.items if item.name in STORIES}
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(STORIES[name], folder) for name, folder in wanted.items()}


@pytest.mark.skipif("not __import__('os').geteuid() == 0", reason="mounts a small file system, which only root may")
def test_a_full_disk_is_told_before_it_is_full_and_until_there_is_room(
    stories: dict[str, Future[None]], tmp_path: Path
) -> None:
    if not can_mount(tmp_path / "mount"):
        pytest.skip("no file system can be mounted here")
    stories["test_a_full_disk_is_told_before_it_is_full_and_until_there_is_room"].result()


def test_its_cadence_is_that_of_two_streams_with_a_batch_a_second(stories: dict[str, Future[None]]) -> None:
    stories["test_its_cadence_is_that_of_two_streams_with_a_batch_a_second"].result()


def test_a_hung_process_is_named_until_it_goes_on(stories: dict[str, Future[None]]) -> None:
    stories["test_a_hung_process_is_named_until_it_goes_on"].result()


def test_a_clock_behind_the_last_interval_is_told_until_it_has_caught_up(stories: dict[str, Future[None]]) -> None:
    stories["test_a_clock_behind_the_last_interval_is_told_until_it_has_caught_up"].result()


def test_a_manifest_that_was_made_anew_is_told_of_for_an_hour(stories: dict[str, Future[None]]) -> None:
    stories["test_a_manifest_that_was_made_anew_is_told_of_for_an_hour"].result()


def test_a_stream_that_is_long_overdue_is_late_unless_it_is_paused(stories: dict[str, Future[None]]) -> None:
    stories["test_a_stream_that_is_long_overdue_is_late_unless_it_is_paused"].result()
