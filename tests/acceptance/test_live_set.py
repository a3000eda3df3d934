"""A running set whose configuration is edited, that hangs, that is put to sleep, and that a service manager watches."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.records import Stream
from support.edits import (
    assert_intervals_tile,
    assert_streams_enter_segments_as_recorded,
    dataset_of,
    edit_slowly,
    lines_of_kind,
    replace_by_rename,
    told,
    whole_log,
)
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet, free_ports, running_set

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "5"}
BOTH = ("company", "driver")
RELOADED = "fleetgen_config_last_reload_successful"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    """A set whose configuration is the same again after each test."""
    with running_set(**EVERY_SECOND) as each:
        yield each


@pytest.fixture
def text(running: RunningSet) -> Iterator[str]:
    """The configuration of the running set, which is put back in the end."""
    text = running.config.read_text()
    wait_for(lambda: in_mode(running, "emulated"), 15, "The end of what the test before has changed")
    yield text
    if running.config.read_text() != text:
        running.config.write_text(text)
        time.sleep(2)


def in_mode(running: RunningSet, mode: str) -> bool:
    return all(told(running, process, f'fleetgen_mode_active{{mode="{mode}"}}') == 1.0 for process in BOTH)


def entering(running: RunningSet, process: str, segment: int) -> dict[str, Any] | None:
    """Return the line in which a process tells that it enters a segment."""
    return next((line for line in lines_of_kind(running, process, "segment") if line["segment"] == segment), None)


def invalid(text: str) -> str:
    return text.replace('mode = "emulated"', 'mode = "nonsense"')


def reload_told(running: RunningSet, value: float) -> bool:
    return all(told(running, process, RELOADED) == value for process in BOTH)


def makes_batches(running: RunningSet, count: int = 2) -> None:
    """Fail unless both streams get some more batches."""
    before = {stream: running.batch_count(stream) for stream in Stream}
    wait_for(
        lambda: all(running.batch_count(stream) >= before[stream] + count for stream in Stream), 20, "Further batches"
    )


def sound(running: RunningSet) -> None:
    for stream in Stream:
        assert_intervals_tile(dataset_of(running), stream)
    assert "no difference" in running.call("verify", "--all").stdout


def test_the_other_mode_is_in_force_in_both_processes_within_two_seconds_and_back_again(
    running: RunningSet, text: str
) -> None:
    for mode, segment in (("production", 2), ("emulated", 3)):
        running.call("mode", mode)
        wait_for(partial(in_mode, running, mode), 2, f"The metrics of {mode} mode")
        for process in BOTH:
            line = wait_for(partial(entering, running, process, segment), 5, "The log line about the segment")
            assert line["mode"] == mode
            assert f"enters segment {segment} in {mode} mode" in line["event"]
        makes_batches(running)
    assert len(running.manifest()["segments"]) == 3
    assert_streams_enter_segments_as_recorded(dataset_of(running))
    sound(running)


def test_the_command_that_edits_the_mode_keeps_every_comment(running: RunningSet, text: str) -> None:
    running.call("mode", "production")
    edited = running.config.read_text()
    assert edited == text.replace('mode = "emulated"', 'mode = "production"')
    assert "#" in edited
    running.call("mode", "emulated")
    assert running.config.read_text() == text


def test_an_invalid_edit_changes_nothing_is_told_once_and_ends_with_its_correction(
    running: RunningSet, text: str
) -> None:
    segments = len(running.manifest()["segments"])
    faults = {process: len(lines_of_kind(running, process, "config")) for process in BOTH}
    running.config.write_text(invalid(text))
    wait_for(lambda: reload_told(running, 0), 3, "The metrics of an invalid configuration")
    makes_batches(running, 3)
    assert in_mode(running, "emulated")
    assert len(running.manifest()["segments"]) == segments
    for process in BOTH:
        (line,) = lines_of_kind(running, process, "config")[faults[process] :]
        assert "nonsense" in line["event"]
        assert "old settings stay" in line["event"]
        assert line["level"] == "error"
    running.config.write_text(text)
    wait_for(lambda: reload_told(running, 1), 3, "The metrics of a valid configuration")
    assert len(running.manifest()["segments"]) == segments


@pytest.mark.parametrize("how", ["invalid", "deleted"])
def test_a_process_killed_while_the_file_is_invalid_goes_on_with_the_last_good_settings(
    running: RunningSet, text: str, how: str
) -> None:
    if how == "deleted":
        running.config.unlink()
    else:
        running.config.write_text(invalid(text))
    try:
        wait_for(lambda: reload_told(running, 0), 3, "The metrics of an invalid configuration")
        pid = running.pids()["driver"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: running.pids().get("driver") not in (None, pid), 10, "The driver's return")
        makes_batches(running, 3)
        assert told(running, "driver", RELOADED) == 0
        assert "driver died (process" in running.output
        assert "it is started again" in running.output
    finally:
        running.config.write_text(text)
    wait_for(lambda: reload_told(running, 1), 3, "The metrics of a valid configuration")


def test_up_refuses_an_invalid_file() -> None:
    with RunningSet() as stopped:
        stopped.config.write_text(invalid(stopped.config.read_text()))
        refused = stopped.call("up", check=False)
        assert refused.returncode == 78
        assert "nonsense" in refused.stderr
        assert not stopped.data.exists()


def test_an_editor_that_writes_in_steps_is_never_taken_for_a_fault(running: RunningSet, text: str) -> None:
    faults = {process: len(lines_of_kind(running, process, "config")) for process in BOTH}
    seen: list[float | None] = []
    for number in range(10):
        edit_slowly(running.config, text + f"# edit {number}\n")
        for _ in range(10):
            seen += [told(running, process, RELOADED) for process in BOTH]
            time.sleep(0.03)
    edit_slowly(running.config, text)
    time.sleep(2)
    assert set(seen) == {1.0}
    assert reload_told(running, 1)
    assert {process: len(lines_of_kind(running, process, "config")) for process in BOTH} == faults


def test_an_editor_that_replaces_the_file_is_followed(running: RunningSet, text: str) -> None:
    segments = len(running.manifest()["segments"])
    replace_by_rename(running.config, text.replace("seed = 42", "seed = 4242"))
    wait_for(lambda: len(running.manifest()["segments"]) == segments + 1, 3, "A segment")
    replace_by_rename(running.config, text)
    wait_for(lambda: len(running.manifest()["segments"]) == segments + 2, 3, "Another segment")


def test_reload_without_a_change_restarts_nothing(running: RunningSet) -> None:
    pids = running.pids()
    assert "Nothing to restart" in running.call("reload").stdout
    assert running.pids() == pids


def test_reload_of_an_invalid_file_is_refused_and_changes_nothing(running: RunningSet, text: str) -> None:
    pids = running.pids()
    conf = running.config.with_name("supervisord.conf").read_text()
    running.config.write_text(invalid(text))
    refused = running.call("reload", check=False)
    assert refused.returncode == 78
    assert "nonsense" in refused.stderr
    assert running.pids() == pids
    assert running.config.with_name("supervisord.conf").read_text() == conf
    assert (running.folder / "run" / "last-good.toml").read_text() == text


def test_reload_without_a_set_says_how_to_start_one() -> None:
    with RunningSet() as stopped:
        refused = stopped.call("reload", check=False)
        assert refused.returncode == 69
        assert "fleetgen up" in refused.stderr


def test_reload_after_a_changed_port_restarts_only_the_process_that_it_concerns() -> None:
    with running_set(**EVERY_SECOND) as running:
        pids, old = running.pids(), running.ports["driver"]
        (running.ports["driver"],) = free_ports(1)
        running.configure(driver_port=str(running.ports["driver"]))
        assert running.call("reload").stdout.strip() == "Restarted: driver."
        wait_for(lambda: told(running, "driver", RELOADED) == 1, 10, "Metrics on the new port")
        assert running.pids()["company"] == pids["company"]
        assert running.pids()["driver"] != pids["driver"]
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", old)) != 0
        makes_batches(running)
        assert len(running.manifest()["segments"]) == 1
        sound(running)


def test_reload_to_a_port_in_use_is_refused_and_the_process_goes_on() -> None:
    with running_set(**EVERY_SECOND) as running, closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        pids = running.pids()
        running.configure(driver_port=str(taken.getsockname()[1]))
        refused = running.call("reload", check=False)
        assert refused.returncode == 75
        assert "metrics.driver_port" in refused.stderr
        assert running.pids() == pids


def test_reload_keeps_the_port_offset_of_the_start() -> None:
    with RunningSet(**EVERY_SECOND) as running:
        ports = dict(running.ports)
        running.ports = {process: port + 100 for process, port in ports.items()}
        running.process = subprocess.Popen(
            [*FLEETGEN, "up", "--port-offset", "100", "--config", str(running.config)],
            stdout=(running.folder / "output").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_for(lambda: reload_told(running, 1), 20, "Metrics on the ports with the offset")
        pids = running.pids()
        assert "Nothing to restart" in running.call("reload").stdout
        assert running.pids() == pids
        (port,) = free_ports(1)
        port = min(port, 60_000)
        running.configure(company_port=str(port))
        assert running.call("reload").stdout.strip() == "Restarted: company."
        running.ports["company"] = port + 100
        wait_for(lambda: told(running, "company", RELOADED) == 1, 10, "Metrics on the new port with the offset")


@pytest.mark.parametrize("table", ["data", "run"])
def test_edited_paths_wait_for_a_reload_even_where_a_process_restarts_meanwhile(table: str) -> None:
    with running_set(**EVERY_SECOND) as running:
        makes_batches(running)
        running.configure(**{table: '"../elsewhere"'})
        time.sleep(1.5)
        pid = running.pids()["driver"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: running.pids().get("driver") not in (None, pid), 10, "The driver's return")
        makes_batches(running, 3)
        assert not (running.folder / "elsewhere").exists()


def test_reload_brings_changed_paths_into_force() -> None:
    with running_set(**EVERY_SECOND) as running:
        makes_batches(running)
        running.configure(data='"../elsewhere"')
        assert running.call("reload").stdout.strip() == "Restarted: company, driver."
        elsewhere = running.folder / "elsewhere" / "raw" / "events"
        wait_for(lambda: elsewhere.exists() and len(list(elsewhere.iterdir())) > 2, 15, "Batches in the new place")
        assert "no difference" in running.call("verify", "--all").stdout


def sleep_and_wake(running: RunningSet, seconds: float) -> None:
    """Stop the whole set, as a machine's sleep does, and wake supervisord first: it sees the others' old heartbeats."""
    assert running.process is not None
    for pid in running.pids().values():
        os.kill(pid, signal.SIGSTOP)
    os.kill(running.process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(running.process.pid, signal.SIGCONT)
    time.sleep(0.5)
    for pid in running.pids().values():
        os.kill(pid, signal.SIGCONT)


def hang() -> None:
    with running_set(**EVERY_SECOND) as running:
        makes_batches(running)
        pids = running.pids()
        began = time.monotonic()
        os.kill(pids["driver"], signal.SIGSTOP)
        wait_for(lambda: running.pids().get("driver") not in (None, pids["driver"]), 40, "A new driver")
        assert time.monotonic() - began > 25
        assert f"driver is hung (process {pids['driver']})" in running.output
        assert running.pids()["company"] == pids["company"]
        makes_batches(running)
        sound(running)


def assert_a_sleep_does_no_harm(seconds: float) -> None:
    with running_set(**EVERY_SECOND) as running:
        makes_batches(running)
        pids = running.pids()
        sleep_and_wake(running, seconds)
        time.sleep(7)
        makes_batches(running)
        assert running.pids() == pids
        assert "hung" not in running.output
        assert "died" not in running.output
        assert [line for process in BOTH for line in whole_log(running, process) if line["level"] == "error"] == []
        sound(running)


STORIES: dict[str, Callable[[], None]] = {
    "test_a_hung_process_is_replaced_within_forty_seconds": hang,
    "test_a_set_that_was_asleep_goes_on_with_the_same_processes": lambda: assert_a_sleep_does_no_harm(15),
}
"""What consists of waiting, by the test that tells how it ended."""


@pytest.fixture(scope="module", autouse=True)
def stories(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """The stories of the tests that were asked for; they go on beside the other tests, each with a set of its own."""
    wanted = {item.name for item in request.session.items}
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(story) for name, story in STORIES.items() if name in wanted}


class ServiceManager:
    """The end of a notification socket at which a service manager listens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[str] = []
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind("\0" + address[1:] if address.startswith("@") else address)
        self._channel.setblocking(False)

    def heard(self) -> list[str]:
        """Return every message so far."""
        try:
            while True:
                self.messages.append(self._channel.recv(4096).decode())
        except BlockingIOError:
            return self.messages

    def close(self) -> None:
        self._channel.close()


def heard_of_health(manager: ServiceManager) -> bool:
    return manager.heard().count("WATCHDOG=1") >= 2


@contextmanager
def managed_set(manager: ServiceManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSet]:
    with monkeypatch.context() as environment:
        environment.setenv("NOTIFY_SOCKET", manager.address)
        running = RunningSet(**EVERY_SECOND)
        running.start()
    with running:
        yield running


def test_a_service_manager_hears_of_readiness_once_of_health_again_and_again_and_of_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, abstract = ServiceManager(str(tmp_path / "notify")), ServiceManager(f"@fleetgen-test-{os.getpid()}")
    with (
        closing(plain),
        closing(abstract),
        managed_set(plain, monkeypatch) as first,
        managed_set(abstract, monkeypatch) as second,
    ):
        for manager, running in ((plain, first), (abstract, second)):
            wait_for(partial(heard_of_health, manager), 30, "Two signs of health")
            assert manager.heard()[0] == "READY=1"
            assert running.stop(signal.SIGTERM) == 0
            messages = manager.heard()
            assert messages.count("READY=1") == 1
            assert messages.count("STOPPING=1") == 1
            assert messages[-1] == "STOPPING=1"
            assert set(messages) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}


def test_a_set_that_was_asleep_goes_on_with_the_same_processes(stories: dict[str, Future[None]]) -> None:
    stories["test_a_set_that_was_asleep_goes_on_with_the_same_processes"].result()


def test_a_hung_process_is_replaced_within_forty_seconds(stories: dict[str, Future[None]]) -> None:
    stories["test_a_hung_process_is_replaced_within_forty_seconds"].result()


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="takes more than a minute")
def test_a_set_that_was_asleep_for_a_minute_goes_on_with_the_same_processes() -> None:
    assert_a_sleep_does_no_harm(60)
