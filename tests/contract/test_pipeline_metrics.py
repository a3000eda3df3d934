"""What the pipeline promises to other programs: metrics that agree with the tables, its backlog, and who waits for it."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from fleetgen.domain.records import ISSUE_TYPES, Stream
from support.event_stream import EventStream, health, reasons
from support.patience import wait_for
from support.sets import RunningSet
from support.tables import (
    OUTCOMES,
    Samples,
    acknowledged,
    catch_up,
    dirty_set,
    hung_pipeline,
    is_caught_up,
    layout_of,
    pipeline_log,
    pipeline_pid,
    pipeline_samples,
    published,
    records_in_tables,
    records_told,
)

STAGES = ("bronze_to_silver", "silver_to_gold", "end_to_end")


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningSet]:
    with dirty_set() as each:
        each.start()
        catch_up(each)
        yield each


@pytest.fixture
def running(shared: RunningSet) -> RunningSet:
    """A set whose pipeline keeps up; generation goes on."""
    wait_for(lambda: is_well(shared), 20, "A healthy set")
    return shared


def is_well(running: RunningSet) -> bool:
    with suppress(OSError):
        return bool(health(running)["status"] == "running") and backlog(running) is not None
    return False


def backlog(running: RunningSet) -> dict[str, int] | None:
    """Return the backlog of the pipeline as health tells it; None while it is not registered."""
    told: dict[str, int] | None = health(running)["pipeline"]["backlog"]
    return told


def samples(running: RunningSet) -> Samples:
    return wait_for(lambda: pipeline_samples(running), 10, "The metrics of the pipeline")


def of_stage(told: Samples, sample: str, stage: str) -> float:
    return told[f"fleetgen_pipeline_latency_seconds_{sample}", frozenset({("stage", stage)})]


def paused(running: RunningSet) -> None:
    """Pause, and wait until the tables stand still."""
    running.call("pause")
    before: Any = None

    def stands() -> bool:
        nonlocal before
        before, last = published(running), before
        return before == last and is_caught_up(running) and bool(wait_half_a_second())

    wait_for(stands, 20, "The end of the backlog")


def wait_half_a_second() -> bool:
    signal.sigtimedwait([], 0.5)
    return True


def test_a_pipeline_that_keeps_up_has_no_backlog_and_tells_its_latencies(running: RunningSet) -> None:
    wait_for(lambda: backlog(running) == dict.fromkeys(Stream, 0), 5, "No backlog")

    latencies = health(running)["pipeline"]["latencies"]
    assert set(latencies) == set(STAGES)
    assert all(seconds > 0 for seconds in latencies.values())
    assert latencies["end_to_end"] == pytest.approx(latencies["bronze_to_silver"] + latencies["silver_to_gold"])
    (consumer,) = health(running)["pipeline"]["consumers"]
    assert consumer["name"] == "pipeline"


@pytest.mark.parametrize("stream", list(Stream))
def test_events_tell_of_a_batch_that_is_made_and_then_of_its_being_carried(running: RunningSet, stream: Stream) -> None:
    with EventStream(running.control_port) as events:
        made = events.wait_for(
            lambda each: each.kind == "batch_generated" and each.data["stream"] == stream, 10, "A batch"
        )
        number = made.data["batch_number"]
        carried = events.wait_for(
            lambda each: (
                each.kind == "batch_processed" and each.data["stream"] == stream and each.data["batch_number"] >= number
            ),
            10,
            "The carried batch",
        )
        assert carried.data["consumer"] == "pipeline"
        assert set(carried.data["latencies"]) == set(STAGES)
        assert int(made.id.rpartition("-")[2]) < int(carried.id.rpartition("-")[2])
        assert (acknowledged(running) or {})[stream] >= number


def test_the_newest_batches_are_scored_and_everybody_is_told_the_same(running: RunningSet) -> None:
    def score() -> Any:
        told = health(running)["pipeline"]["score"]
        return told if told is not None and told["batches"] > 20 and len(told["recall"]) == 6 else None

    wait_for(score, 60, "A score of every issue type")
    paused(running)
    try:
        seen = wait_for(lambda: _agreed(running), 20, "The same score everywhere")
        assert seen["overall_recall"] == seen["precision"] == 1.0
        assert seen["misses"] == seen["false_alarms"] == 0
        assert set(seen["recall"]) == set(ISSUE_TYPES)
        assert seen["batches"] <= 200
    finally:
        running.call("resume")


def _agreed(running: RunningSet) -> Any:
    """Return the score as health tells it, once the metrics tell the same."""
    told, exported = health(running)["pipeline"]["score"], samples(running)
    recall = {
        kind: exported["fleetgen_pipeline_recall_ratio", frozenset({("issue_type", kind)})] for kind in ISSUE_TYPES
    }
    same = recall == told["recall"] and exported["fleetgen_pipeline_precision_ratio", frozenset()] == told["precision"]
    return told if same else None


def test_a_pipeline_that_hangs_stays_registered_and_its_backlog_grows_until_it_goes_on(running: RunningSet) -> None:
    with hung_pipeline(running) as pid:
        before = acknowledged(running)
        wait_for(lambda: min((backlog(running) or {"": 0}).values()) >= 3, 10, "A backlog")
        assert acknowledged(running) == before
    wait_for(lambda: backlog(running) == dict.fromkeys(Stream, 0), 10, "The end of the backlog")
    assert pipeline_pid(running) == pid


def test_a_pipeline_that_is_killed_stays_registered_and_counts_on(running: RunningSet) -> None:
    pid, before = pipeline_pid(running), records_told(samples(running))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert acknowledged(running) is not None

    wait_for(lambda: pipeline_pid(running) not in (None, pid), 10, "The restart")
    first = wait_for(lambda: records_told(pipeline_samples(running) or {}), 20, "The counters")
    assert all(first[key] >= count for key, count in before.items())
    paused(running)
    try:
        assert records_told(samples(running)) == records_in_tables(layout_of(running))
    finally:
        running.call("resume")


def test_a_pipeline_that_is_stopped_leaves_and_comes_back_where_it_was(running: RunningSet) -> None:
    running.ctl("stop", "pipeline")
    try:
        assert acknowledged(running) is None
        wait_for(lambda: backlog(running) is None, 5, "The leaving")
        remedy = "supervisorctl start pipeline"
        wait_for(lambda: remedy in reasons(running).get("process_down", ""), 5, "The remedy")
        assert "Stopping pipeline" in running.output

        made = published(running)
        wait_for(lambda: min(published(running).values()) > max(made.values()), 10, "Batches meanwhile")
    finally:
        running.ctl("start", "pipeline")
    wait_for(lambda: acknowledged(running) is not None, 10, "The pipeline")
    catch_up(running)


def test_its_counters_are_those_of_the_tables_and_its_latencies_count_each_batch(running: RunningSet) -> None:
    paused(running)
    try:
        told = samples(running)
        assert records_told(told) == records_in_tables(layout_of(running))
        assert set(records_told(told)) == {(stream.value, each) for stream in Stream for each in OUTCOMES.values()}
        assert told["fleetgen_errors_total", frozenset({("phase", "batch")})] == 0
        lines = running.manifest()["heads"]
        assert sum(records_told(told).values()) == sum(head["totals"]["records"] for head in lines.values())

        # and each batch that this process has carried took its time
        started = pipeline_log(running, "starting")[-1]["timestamp"]
        carried = [line for line in pipeline_log(running, "batch_processed") if line["timestamp"] > started]
        count = sum(line["batch_number"] - line["first_batch"] + 1 for line in carried)
        assert {of_stage(told, "count", stage) for stage in STAGES} == {count}
        parts = [of_stage(told, "sum", stage) for stage in STAGES]
        assert parts[2] == pytest.approx(parts[0] + parts[1])
    finally:
        running.call("resume")
