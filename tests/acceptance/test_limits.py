"""A running set at its limits: a pipeline that falls behind, one that is stopped, a disk that fills and is freed."""

import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleetgen.domain.records import Stream
from support.disks import can_mount, fill, small_disk
from support.event_stream import health, reasons
from support.patience import wait_for
from support.sets import RunningSet
from support.tables import EVERY_SECOND, acknowledged, catch_up, dirty_set, hung_pipeline, pipeline_pid

LIMIT = 4
PROCESS = {Stream.COMPANIES: "company", Stream.EVENTS: "driver"}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with dirty_set(max_backlog_batches=str(LIMIT)) as each:
        each.start()
        catch_up(each)
        yield each


def entries(running: RunningSet, stream: Stream) -> list[dict[str, Any]]:
    path = running.data / "manifests" / "ledger" / f"{stream}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def gaps(running: RunningSet, stream: Stream) -> list[dict[str, Any]]:
    return [entry for entry in entries(running, stream) if entry["kind"] == "gap"]


def sample(running: RunningSet, process: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(running.metrics(process)):
        for each in family.samples:
            if each.name == f"fleetgen_{name}" and labels.items() <= each.labels.items():
                return each.value
    return None


def test_a_pipeline_that_hangs_holds_publishing_up_at_the_limit_and_lets_it_go_on(running: RunningSet) -> None:
    before = {stream: len(gaps(running, stream)) for stream in Stream}
    with hung_pipeline(running):
        wait_for(lambda: "backpressure" in reasons(running), 20, "The reason")
        wait_for(lambda: min(len(gaps(running, each)) - before[each] for each in Stream) >= 2, 20, "Gaps")
        told = health(running)
        detail = reasons(running)["backpressure"]
        metric = {each: sample(running, PROCESS[each], "backpressure_active") for each in Stream}
        has = acknowledged(running) or {}

    # it was named, everywhere
    assert told["status"] == "degraded"
    assert told["backpressure"]["active"] is True
    assert {(each["name"], each["backlog"]) for each in told["backpressure"]["behind"]} == {("pipeline", LIMIT)}
    assert "Consumer pipeline has not acknowledged 4 batches" in detail
    assert "supervisorctl start pipeline" in detail
    assert metric == dict.fromkeys(Stream, 1.0)

    # it goes on by itself
    wait_for(lambda: health(running)["backpressure"]["active"] is False, 20, "The end of it")
    wait_for(lambda: min(_batches(running, each) for each in Stream) > max(has.values()) + LIMIT + 2, 20, "Batches")

    # and what was left out are the intervals in which the limit was reached, each counted
    for stream in Stream:
        found = entries(running, stream)
        assert all(one["end"] == other["start"] for one, other in itertools.pairwise(found))
        lost = gaps(running, stream)[before[stream] :]
        assert {gap["reason"] for gap in lost} == {"backpressure"}
        assert "consumer pipeline" in lost[0]["detail"]
        held = [entry for entry in found if entry["start"] >= lost[0]["start"] and entry["start"] <= lost[-1]["start"]]
        assert [entry["kind"] for entry in held] == ["gap"] * len(lost)
        previous = next(entry for entry in reversed(found) if entry["end"] == lost[0]["start"])
        assert previous["batch_number"] == has[stream] + LIMIT
        counted = sample(running, PROCESS[stream], "batches_missed_total", reason="backpressure")
        assert counted == sum(gap["intervals"] for gap in gaps(running, stream) if gap["reason"] == "backpressure")
    assert any(line.get("kind") == "withheld" for line in running.log("driver"))
    assert any(line.get("kind") == "released" for line in running.log("driver"))


def _batches(running: RunningSet, stream: Stream) -> int:
    return int(running.manifest()["heads"][stream]["next_batch"])


def test_a_pipeline_that_is_stopped_holds_nobody_up(running: RunningSet) -> None:
    catch_up(running)
    before = {stream: len(gaps(running, stream)) for stream in Stream}
    running.ctl("stop", "pipeline")
    try:
        made = {stream: _batches(running, stream) for stream in Stream}
        wait_for(lambda: all(_batches(running, each) > made[each] + LIMIT + 2 for each in Stream), 20, "Batches")
        assert {stream: len(gaps(running, stream)) for stream in Stream} == before
        assert "backpressure" not in reasons(running)
    finally:
        running.ctl("start", "pipeline")
    catch_up(running)


def test_a_pipeline_that_is_killed_again_and_again_holds_publishing_up(running: RunningSet) -> None:
    before = Counter({stream: len(gaps(running, stream)) for stream in Stream})

    def kill() -> bool:
        if (pid := pipeline_pid(running)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return all(len(gaps(running, stream)) > before[stream] for stream in Stream)

    wait_for(kill, 60, "Gaps")
    running.ctl("start", "pipeline")
    catch_up(running)
    assert running.call("verify", "--all").returncode == 0


def test_a_disk_that_fills_stops_publishing_before_it_is_full_and_lets_it_go_on(running: RunningSet) -> None:
    if not can_mount(running.folder / "mount"):
        pytest.skip("mounting needs root")
    megabyte = 1 << 20
    settings = EVERY_SECOND | {"min_free_bytes": str(24 * megabyte)}
    with RunningSet(control=True, **settings) as filled, small_disk(filled.data, 64 * megabyte):
        filled.start()
        wait_for(lambda: filled.batch_count("events") > 1, 20, "Batches")
        filling = filled.data / "filling"
        fill(filling, leave=20 * megabyte)
        wait_for(lambda: "disk_full" in reasons(filled), 10, "The reason")
        assert "retention.min_free_bytes" in reasons(filled)["disk_full"]
        wait_for(lambda: len(gaps(filled, Stream.EVENTS)) >= 2, 10, "Gaps")
        standing = filled.batch_count("events")
        wait_for(lambda: len(gaps(filled, Stream.EVENTS)) >= 4, 10, "More gaps")
        assert filled.batch_count("events") == standing

        filling.unlink()
        wait_for(lambda: filled.batch_count("events") > standing + 1, 10, "Further batches")
        wait_for(lambda: "disk_full" not in reasons(filled), 5, "The end of the reason")
        assert {gap["reason"] for gap in gaps(filled, Stream.EVENTS)} == {"disk"}
        assert filled.call("verify", "--all").returncode == 0
        filled.stop()
