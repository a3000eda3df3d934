"""What a running set promises to other programs: batches on the grid, and metrics that agree with the disk."""

import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleetgen.domain.records import SECOND, Stream, instant
from support.patience import BESIDE_OTHERS, wait_for
from support.sets import RunningSet, running_set

pytestmark = pytest.mark.soak

SECONDS = 60 if os.environ.get("FLEETGEN_SOAK") else 20
STREAM_OF = {"company": Stream.COMPANIES, "driver": Stream.EVENTS}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    settings = {
        "company_interval": '"PT5S"',
        "driver_interval": '"PT5S"',
        "companies_per_batch": "5",
        "events_per_batch": "{ min = 3, max = 10 }",
    }
    with running_set(**settings) as each:
        time.sleep(SECONDS)
        each.call("pause")
        time.sleep(1.5)
        yield each


def metas(running: RunningSet, stream: Stream) -> list[dict[str, Any]]:
    paths = sorted((running.data / "raw" / stream).glob("*/batch_meta.json"))
    return [json.loads(path.read_text()) for path in paths]


def samples(running: RunningSet, process: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(running.metrics(process))
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


@pytest.mark.parametrize("stream", list(Stream))
def test_every_batch_ends_on_its_grid_point_and_begins_where_the_last_ended(
    running: RunningSet, stream: Stream
) -> None:
    found = metas(running, stream)
    assert len(found) >= SECONDS // 5
    ends = [instant(meta["interval_end"]) for meta in found]
    starts = [instant(meta["interval_start"]) for meta in found]
    assert starts[1:] == ends[:-1]
    assert all(end % (5 * SECOND) == 0 for end in ends)
    assert [meta["batch_number"] for meta in found] == list(range(len(found)))
    assert [meta["seed"] for meta in found] == [42 + number for number in range(len(found))]


@pytest.mark.parametrize("stream", list(Stream))
def test_batches_start_within_a_second_of_their_schedule_and_of_each_other(running: RunningSet, stream: Stream) -> None:
    found = metas(running, stream)[1:]
    lags = [(instant(meta["started_at"]) - instant(meta["scheduled_at"])) / SECOND for meta in found]
    assert all(0 <= lag < BESIDE_OTHERS for lag in lags)
    assert all(abs(later - earlier) < BESIDE_OTHERS for earlier, later in pairwise(lags))


def test_batch_sizes_are_always_within_their_bounds(running: RunningSet) -> None:
    assert {meta["record_count"] for meta in metas(running, Stream.COMPANIES)} == {5}
    sizes = [meta["record_count"] for meta in metas(running, Stream.EVENTS)]
    assert all(3 <= size <= 10 for size in sizes)
    assert len(set(sizes)) > 1


@pytest.mark.parametrize("process", ["company", "driver"])
def test_counters_equal_what_is_on_disk(running: RunningSet, process: str) -> None:
    stream = STREAM_OF[process]
    found, told = metas(running, stream), samples(running, process)

    def total(name: str, **labels: str) -> float:
        return told[f"fleetgen_{name}", frozenset({"stream": stream.value, **labels}.items())]

    data = list((running.data / "raw" / stream).glob("*/*.jsonl"))
    assert total("batches_total", mode="emulated") == len(found)
    assert total("batches_total", mode="production") == 0
    assert total("records_total") == sum(len(path.read_text().splitlines()) for path in data)
    assert total("output_bytes_total") == sum(path.stat().st_size for path in data)
    not_waited_for = 1 + total(
        "batches_backfilled_total"
    )  # the first, and what fell due before the process had started
    assert told["fleetgen_batch_start_lag_seconds_count", frozenset()] == len(found) - not_waited_for
    assert told["fleetgen_batch_size_records_sum", frozenset()] == sum(meta["record_count"] for meta in found)


@pytest.mark.parametrize("process", ["company", "driver"])
def test_counters_go_on_after_a_restart(running: RunningSet, process: str) -> None:
    before = {key: value for key, value in samples(running, process).items() if key[0] == "fleetgen_records_total"}
    running.ctl("restart", process)
    after = wait_for(lambda: _samples_or_none(running, process), 10, "The metrics after the restart")
    assert {key: value for key, value in after.items() if key in before} == before


def _samples_or_none(running: RunningSet, process: str) -> dict[Any, float] | None:
    try:
        told = samples(running, process)
    except OSError:
        return None
    return told if any(name == "fleetgen_records_total" for name, _ in told) else None


@pytest.mark.parametrize("process", ["company", "driver"])
def test_the_metrics_name_what_is_in_force(running: RunningSet, process: str) -> None:
    told = {
        (name, dict(labels).get("bound") or dict(labels).get("mode")): value
        for (name, labels), value in samples(running, process).items()
    }
    bounds = (5, 5) if process == "company" else (3, 10)
    assert (
        told["fleetgen_batch_size_limit_records", "min"],
        told["fleetgen_batch_size_limit_records", "max"],
    ) == bounds
    assert told["fleetgen_batch_interval_seconds", None] == 5
    assert told["fleetgen_mode_active", "emulated"] == 1
    assert told["fleetgen_mode_active", "production"] == 0
    assert told["fleetgen_paused", None] == 1
    assert told["fleetgen_data_disk_free_bytes", None] > 0
    assert told["process_resident_memory_bytes", None] > 0


def test_a_metrics_port_listens_on_the_loopback_address_alone(running: RunningSet) -> None:
    listening = Path("/proc/net/tcp").read_text()
    for port in running.ports.values():
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening
