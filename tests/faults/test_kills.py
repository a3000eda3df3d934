"""kill -9 at any moment: nothing torn, nothing lost, nothing twice."""

import json
import os
import signal
import time

import pytest

from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import Stream
from support.patience import wait_for
from support.sets import RunningSet, running_set

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
KILLS = int(os.environ.get("FLEETGEN_KILLS", "1000" if SOAK else "20"))

pytestmark = pytest.mark.soak


def test_kills_of_the_generators_lose_and_tear_nothing() -> None:
    # given moments that every run repeats
    moments = Address(7, Origin.EVENTS, 0, Purpose.EVENT_COUNT).draws(KILLS)
    settings = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "catch_up_limit": "1000"}
    with running_set(**settings) as running:
        for which, when in zip(moments[0].tolist(), moments[1].tolist(), strict=True):
            time.sleep(when / 2**32 * 1.3)
            kill(running, ("company", "driver")[which % 2])
        wait_for(lambda: len(running.pids()) == 2, 10, "The last restart")
        time.sleep(3)
        running.call("pause")
        time.sleep(1.5)
        for stream in Stream:
            check_stream(running, stream)
        assert running.call("verify", "--all", check=False).stdout.startswith(
            f"{total_batches(running)} batches checked"
        )
        assert "it is started again" in running.output


def kill(running: RunningSet, process: str) -> None:
    pid = wait_for(lambda: running.pids().get(process), 10, f"The restart of {process}")
    os.kill(pid, signal.SIGKILL)


def check_stream(running: RunningSet, stream: Stream) -> None:
    folders = sorted((running.data / "raw" / stream).iterdir())
    metas = [json.loads((folder / "batch_meta.json").read_text()) for folder in folders]
    head = running.manifest()["heads"][stream]
    assert [meta["batch_number"] for meta in metas] == list(range(len(metas)))
    assert [meta["interval_start"] for meta in metas][1:] == [meta["interval_end"] for meta in metas][:-1]
    assert head["next_batch"] == len(metas)
    assert head["totals"]["records"] == sum(meta["record_count"] for meta in metas)
    assert set(head["totals"]["missed"]) <= {"paused"}
    for folder, meta in zip(folders, metas, strict=True):
        content = (folder / f"{stream}.jsonl").read_bytes()
        assert content.count(b"\n") == meta["record_count"]
        assert all(isinstance(json.loads(line), dict) for line in content.splitlines())
        assert len(content) == meta["bytes"]
    assert not list((running.data / ".staging").iterdir())


def total_batches(running: RunningSet) -> int:
    return sum(head["next_batch"] for head in running.manifest()["heads"].values())


def test_a_killed_supervisord_and_a_new_set_go_on_without_a_gap() -> None:
    settings = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "catch_up_limit": "1000"}
    with running_set(**settings) as running:
        for _ in range(3):
            time.sleep(1.4)
            assert running.process is not None
            running.process.kill()
            running.process.wait()
            wait_for(lambda: not running.pids(), 2, "The end of the children")
            running.start()
        time.sleep(2)
        running.call("pause")
        time.sleep(1.5)
        for stream in Stream:
            check_stream(running, stream)
