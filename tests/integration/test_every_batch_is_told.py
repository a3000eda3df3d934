"""Each batch is told once, by the log and by the metrics, also one whose recording failed and that is found later."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.api import samples
from support.patience import wait_for
from support.sets import RunningSet, running_set

EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "catch_up_limit": "1000"}


@contextmanager
def ledger_on_a_full_disk(running: RunningSet) -> Iterator[None]:
    """Let no line be added to the ledger of events for a block; its batches are published all the same."""
    ledger = running.data / "manifests" / "ledger" / "events.jsonl"
    kept, full = ledger.with_suffix(".kept"), ledger.with_suffix(".full")
    os.link(ledger, kept)
    full.symlink_to("/dev/full")
    full.rename(ledger)
    yield
    kept.rename(ledger)


@contextmanager
def manifest_that_cannot_be_written(running: RunningSet) -> Iterator[None]:
    """Let the driver not replace the manifest for a block; its ledger has the lines all the same."""
    in_the_way = running.data / "manifests" / f".generator_state.json.{running.pids()['driver']}.new"
    in_the_way.mkdir()
    yield
    in_the_way.rmdir()


@pytest.mark.parametrize("fault", [ledger_on_a_full_disk, manifest_that_cannot_be_written])
def test_a_batch_whose_recording_failed_is_told_once_like_every_other(
    fault: Callable[[RunningSet], Iterator[None]],
) -> None:
    with running_set(**EVERY_SECOND) as running:
        wait_for(lambda: len(told(running)) > 2, 20, "Some batches")
        with fault(running):  # type: ignore[attr-defined]
            wait_for(lambda: "error" in kinds(running), 20, "The fault in the log")
        before = running.batch_count("events")
        wait_for(lambda: len(told(running)) > before + 2, 30, "Batches after the fault")
        running.call("pause")
        wait_for(lambda: numbers(running) == list(range(running.batch_count("events"))), 10, "Every batch, told once")
        found = [line for line in told(running) if line.get("adopted")]
        assert len(found) == 1
        assert found[0]["record_count"] > 0
        metrics = samples(running.metrics("driver"))
        assert metrics["fleetgen_batch_size_records_count", frozenset()] == len(told(running))
        head = running.manifest()["heads"]["events"]
        assert sum(head["totals"]["batches"].values()) == len(told(running))


def told(running: RunningSet) -> list[dict[str, Any]]:
    return [line for line in running.log("driver") if line.get("kind") == "batch_published"]


def numbers(running: RunningSet) -> list[object]:
    return [line["batch_number"] for line in told(running)]


def kinds(running: RunningSet) -> set[object]:
    return {line.get("kind") for line in running.log("driver")}
