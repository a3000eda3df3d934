"""The stream of server-sent events of a running set: all there is to tell, in time, whatever other clients do."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.web.known.streams import MOST_CLIENTS
from support.edits import lines_of_kind, whole_log
from support.event_stream import Arrived, EventStream, answers, asked, health, open_unread, vanish
from support.patience import Watch, wait_for
from support.sets import RunningSet, running_set

SETTINGS = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "5"}
STOP_WAIT_SECONDS = 10
VANISHING = 20


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with running_set(control=True, pipeline=False, **SETTINGS) as each:
        wait_for(lambda: answers(each), 10, "The control process")
        wait_for(lambda: each.batch_count("events") > 1, 10, "Some batches")
        yield each


@pytest.fixture
def stream(running: RunningSet) -> Iterator[EventStream]:
    with EventStream(running.control_port) as each:
        yield each


def control_pid(running: RunningSet) -> int:
    return next(int(each["pid"]) for each in health(running)["processes"] if each["name"] == "control")


def numbers(events: list[Arrived], stream: Stream) -> list[int]:
    """Return the numbers of the batches of which these events tell."""
    return [
        event.data["batch_number"]
        for event in events
        if event.kind == "batch_generated" and event.data["stream"] == stream
    ]


def assert_all_told(events: list[Arrived], least: int) -> None:
    """Fail unless the events tell of so many batches of each stream, each once and in order."""
    for stream in Stream:
        told = numbers(events, stream)
        assert len(told) >= least
        assert told == list(range(told[0], told[0] + len(told)))


def has_batches(stream: EventStream, count: int) -> bool:
    return min(len(numbers(list(stream.arrived), each)) for each in Stream) >= count


def invalid(text: str, faults: int = 1) -> str:
    """Return a configuration with so many faults, which the message about it names one by one."""
    return text + "".join(f"nonsense_{number} = {number}\n" for number in range(faults))


def test_every_batch_is_told_once_in_order_and_within_two_seconds(running: RunningSet, stream: EventStream) -> None:
    wait_for(partial(has_batches, stream, 4), 10, "Four batches of each stream")
    events = list(stream.arrived)
    assert_all_told(events, 4)
    assert len({event.id for event in events}) == len(events)
    for event in stream.of_kind("batch_generated"):
        folder = running.data / "raw" / event.data["stream"] / event.data["batch_id"]
        published_at = folder.stat().st_ctime  # the commit's rename
        assert -0.05 < event.at - published_at < 2
        assert event.data["interval_end"] > event.data["interval_start"]


def test_a_pause_and_a_resume_are_told(running: RunningSet, stream: EventStream) -> None:
    running.call("pause", "--reason", "to see")
    told = stream.wait_for(lambda event: event.kind == "state_changed", 2, "The pause").data
    assert (told["status"], told["paused"], told["pause_reason"]) == ("paused", True, "to see")
    asked(running, "POST", "/resume")
    stream.wait_for(lambda event: event.kind == "state_changed" and not event.data["paused"], 2, "The resume")


def test_a_clean_is_told_with_the_id_of_the_new_dataset(running: RunningSet, stream: EventStream) -> None:
    asked(running, "POST", "/pause")
    asked(running, "POST", "/clean")
    dataset_id = running.manifest()["dataset_id"]
    stream.wait_for(lambda event: event.data.get("dataset_id") == dataset_id, 2, "The clean")
    asked(running, "POST", "/resume")
    for each in Stream:
        first = stream.wait_for(
            lambda event: event.data.get("stream") == each and event.data.get("batch_number") == 0,  # noqa: B023
            5,
            f"The first batch of {each}",
        )
        assert first.kind == "batch_generated"


def test_edits_are_told_whether_they_are_valid_or_not(running: RunningSet, stream: EventStream) -> None:
    text = running.config.read_text()
    running.config.write_text(invalid(text))
    told = stream.wait_for(lambda event: event.kind == "config_reloaded", 3, "The invalid edit").data
    assert (told["valid"], "nonsense" in told["error"]) == (False, True)
    running.config.write_text(text)
    told = stream.wait_for(lambda event: event.data.get("valid") is True, 3, "The correction").data
    assert told["digest"] == health(running)["config"]["digest"]


def test_an_acknowledgement_is_told_once(running: RunningSet, stream: EventStream) -> None:
    wait_for(lambda: running.manifest()["heads"]["events"]["next_batch"] > 1, 10, "Two batches")
    body = {"dataset_id": running.manifest()["dataset_id"], "stream": "events", "batch_number": 1}
    for _ in range(2):
        asked(running, "PUT", "/consumers/outside", body)
    told = stream.wait_for(lambda event: event.kind == "batch_processed", 2, "The acknowledgement").data
    assert (told["consumer"], told["stream"], told["batch_number"]) == ("outside", "events", 1)
    wait_for(partial(has_batches, stream, 2), 10, "Further batches")
    assert len(stream.of_kind("batch_processed")) == 1
    asked(running, "DELETE", "/consumers/outside")


def test_who_comes_back_gets_what_was_missed_and_who_is_new_only_what_is_new(running: RunningSet) -> None:
    with EventStream(running.control_port) as witness:
        with EventStream(running.control_port) as first:
            wait_for(partial(has_batches, first, 1), 5, "A batch of each stream")
        before = list(first.arrived)
        seen = len(witness.arrived)
        wait_for(lambda: len(witness.arrived) >= seen + 4, 10, "What is missed")
        with EventStream(running.control_port, before[-1].id) as again, EventStream(running.control_port) as new:
            wait_for(lambda: len(new.arrived) >= 2, 5, "What is new")
            newest = new.arrived[1].id
            for other in (witness, again):
                wait_for(lambda: newest in [event.id for event in list(other.arrived)], 2, newest)  # noqa: B023
    ids = [event.id for event in witness.arrived]
    both = [event.id for event in (*before, *again.arrived)]
    assert both[: ids.index(newest)] == ids[ids.index(both[0]) :][: ids.index(newest)]
    assert len(set(both)) == len(both)
    assert new.arrived[0].id not in [event.id for event in before]
    assert ids.index(new.arrived[0].id) > ids.index(before[-1].id) + 3


def test_an_id_of_an_earlier_process_gets_all_that_the_new_one_knows(running: RunningSet) -> None:
    with EventStream(running.control_port) as before:
        wait_for(lambda: before.arrived, 5, "An event")
    pid = control_pid(running)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: answers(running) and control_pid(running) != pid, 10, "Another control process")
    with EventStream(running.control_port) as witness:
        wait_for(partial(has_batches, witness, 2), 10, "Some batches")
        with EventStream(running.control_port, before.arrived[-1].id) as again:
            wait_for(lambda: len(again.arrived) >= len(witness.arrived), 5, "What was missed")
    ids = [event.id for event in again.arrived]
    assert ids[0].endswith("-1")
    assert set(ids) >= {event.id for event in witness.arrived[:4]}
    assert before.arrived[-1].id not in ids


def test_clients_that_vanish_harm_nobody(running: RunningSet, stream: EventStream) -> None:
    descriptors = Path(f"/proc/{control_pid(running)}/fd")
    gone = [open_unread(running.control_port) for _ in range(VANISHING)]
    for connection in gone:
        assert answer(connection).startswith("HTTP/1.1 200 ")
    opened = len(list(descriptors.iterdir()))
    for connection in gone:
        vanish(connection)
    fewer = opened - VANISHING
    wait_for(lambda: len(list(descriptors.iterdir())) <= fewer, 10, "The end of the streams that are gone")
    wait_for(partial(has_batches, stream, 2), 10, "Further batches")
    assert_all_told(list(stream.arrived), 2)
    assert lines_of_kind(running, "control", "failed") == []


def test_streams_too_many_are_refused_even_at_once_until_others_end(running: RunningSet) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(open_unread(running.control_port)) for _ in range(MOST_CLIENTS + 20)]
        answered = [answer(connection) for connection in opened]
        refused = [told for told in answered if told.startswith("HTTP/1.1 503 ")]
        assert len(refused) == 20
        assert all("too many open streams" in told for told in refused)
        admitted = (each for each, told in zip(opened, answered, strict=True) if told.startswith("HTTP/1.1 200 "))
        vanish(next(admitted))
        wait_for(lambda: is_admitted(running), 5, "Room for another stream")


def answer(connection: socket.socket) -> str:
    """Return the beginning of the answer to the request for a stream; all of it, if that is refused."""
    told = b""
    while b"\r\n\r\n" not in told or (b" 503 " in told[:20] and not told.endswith(b"}")):
        told += connection.recv(4096)
    return told.decode()


def is_admitted(running: RunningSet) -> bool:
    with open_unread(running.control_port) as connection:
        return answer(connection).startswith("HTTP/1.1 200 ")


def test_a_client_that_never_reads_harms_nobody(running: RunningSet, stream: EventStream) -> None:
    # given a client whose connection is filled up by events of some size
    text = running.config.read_text()
    with open_unread(running.control_port, receive_bytes=4096) as unread:
        for faults in (6000, 6001, 6002, 6003):
            told = len(stream.of_kind("config_reloaded"))
            running.config.write_text(invalid(text, faults))
            wait_for(lambda: len(stream.of_kind("config_reloaded")) > told, 15, "The edit")  # noqa: B023
        running.config.write_text(text)
        size = sum(len(event.data["error"] or "") for event in stream.of_kind("config_reloaded"))
        assert size > 2_000_000
        wait_for(lambda: stuck_bytes(running, unread) > 0, 5, "A connection that is full")

        # then everybody else is told in time, and asking is as fast as ever
        seen = len(stream.of_kind("batch_generated"))
        wait_for(lambda: len(stream.of_kind("batch_generated")) >= seen + 6, 10, "Further batches")
        for event in stream.of_kind("batch_generated")[seen + 1 :]:
            folder = running.data / "raw" / event.data["stream"] / event.data["batch_id"]
            assert event.at - folder.stat().st_ctime < 2
        watch = Watch()
        assert health(running)["config"]["valid"]
        assert watch.within(0.5)
        assert_all_told(list(stream.arrived), 3)

        # and it does not hold up a stop
        assert_stops_in_time(running)
    running.ctl("start", "control")
    wait_for(lambda: answers(running), 10, "The control process")


def stuck_bytes(running: RunningSet, connection: socket.socket) -> int:
    """Return how much of what the other side has sent on a connection could not be delivered yet."""
    here, there = (f"{port:04X}" for port in (connection.getsockname()[1], running.control_port))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{there}") and fields[2].endswith(f":{here}"):
            return int(fields[4].split(":")[0], 16)
    return 0


def stops(running: RunningSet) -> int:
    return len(lines_of_kind(running, "control", "stopping"))


def cancellations(running: RunningSet) -> int:
    """Return how often the server gave up waiting for the end of its streams."""
    return (running.folder / "run" / "control.stderr.log").read_text().count("graceful shutdown exceeded")


def assert_stops_in_time(running: RunningSet) -> None:
    """Stop the control process alone; fail if it had to be killed."""
    before, watch = stops(running), Watch()
    assert "control: stopped" in running.ctl("stop", "control")
    assert watch.within(STOP_WAIT_SECONDS / 2)
    assert stops(running) == before + 1
    assert "killing" not in (running.folder / "run" / "supervisord.log").read_text()


def test_open_streams_do_not_hold_up_the_stop_of_the_control_process(running: RunningSet) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(EventStream(running.control_port)) for _ in range(5)]
        cancelled = cancellations(running)
        assert_stops_in_time(running)
        assert cancellations(running) == cancelled
        for each in opened:
            assert each.ended.wait(1)
    running.ctl("start", "control")
    wait_for(lambda: answers(running), 10, "The control process")


def test_open_streams_do_not_hold_up_the_stop_of_the_set(running: RunningSet) -> None:
    before = stops(running)
    with ExitStack() as stack:
        opened = [stack.enter_context(EventStream(running.control_port)) for _ in range(5)]
        stack.enter_context(open_unread(running.control_port))
        watch = Watch()
        assert running.stop(signal.SIGINT) == 0
        assert watch.within(STOP_WAIT_SECONDS)
        for each in opened:
            assert each.ended.wait(1)
    assert stops(running) == before + 1
    assert "Stopping control process" in [line["event"] for line in whole_log(running, "control")]
    assert "killing" not in (running.folder / "run" / "supervisord.log").read_text()
    with suppress(OSError):
        raise AssertionError(health(running))
