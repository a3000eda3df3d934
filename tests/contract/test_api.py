"""What the control API answers: the form of every answer, and that it tells what is on disk and in the processes."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import SECOND, Stream, instant, iso
from support.api import ServerEvent, client_of, problem, samples, server_events
from support.patience import BESIDE_OTHERS, Watch, wait_for
from support.sets import FLEETGEN, RunningSet, running_set

STREAM_FACTS = {
    "total_batches",
    "total_records",
    "last_batch_id",
    "last_batch_time",
    "idle_seconds",
    "next_batch_time",
}
HEALTH = {
    "status": None,
    "reasons": None,
    "timestamp": None,
    "generation_mode": None,
    "dataset_id": None,
    "base_seed": None,
    "uptime": {"seconds", "hours", "start_time"},
    "company_generator": STREAM_FACTS,
    "driver_generator": STREAM_FACTS | {"last_interval_end"},
    "lifecycle": {"paused", "paused_at", "pause_reason", "shutdown_requested"},
    "state": {"last_saved", "state_file"},
    "processes": None,
    "quality": {"enabled", "event_error_rate", "company_error_rate", "records_corrupted", "issue_counts"},
    "pipeline": {"latencies", "backlog", "lines", "rejected", "score", "consumers"},
    "backpressure": {"active", "action", "max_backlog_batches", "behind"},
    "disk": {"free_bytes", "min_free_bytes"},
    "cadence": {"batches_per_minute", "records_per_second", "start_lag_p99_seconds"},
    "config": {"valid", "error", "digest", "loaded_at"},
    "auto_reinit": {"performed", "at", "actions", "missing_files"},
    "auto_reinit_count": None,
    "verification": {"companies_exists", "events_exists", "missing", "event_file_count"},
}
"""The fields of /health in every mode, with the fields in them."""

CHANGED = {"success", "action", "status", "timestamp", "message", "error", "extra"}
LOG_PAGE = {"entries", "totalReturned", "nextSince", "nextBefore"}
LOG_ENTRY = {"timestamp", "ts", "level", "logger", "message", "extra"}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with running_set(True, company_interval='"PT1S"', driver_interval='"PT1S"', companies_per_batch="5") as each:
        yield each


@pytest.fixture
def api(running: RunningSet) -> Iterator[httpx.Client]:
    """A client of a set that is not paused, has data, and runs all its processes."""
    with client_of(running) as client:
        assert client.post("/api/resume").status_code == 200
        wait_for(lambda: not is_paused(client), 1, "The resume in /health")
        wait_for(lambda: all(each["total_batches"] for each in generators(client)), 5, "The first batches")
        yield client


@pytest.fixture
def paused(api: httpx.Client, running: RunningSet) -> Iterator[httpx.Client]:
    """A client of a set that is paused."""
    assert api.post("/api/pause").status_code == 200
    wait_for(lambda: is_paused(api), 1, "The pause in /health")
    yield api
    api.post("/api/resume")


@pytest.fixture
def empty(paused: httpx.Client) -> httpx.Client:
    """A client of a set that is paused and has no data."""
    assert paused.post("/api/clean").status_code == 200
    wait_for(lambda: not generators(paused)[1]["total_batches"], 1, "The clean in /health")
    return paused


@pytest.fixture(scope="module")
def shifted() -> Iterator[tuple[RunningSet, int]]:
    """A set in production mode whose ports are all greater by an offset than the file says; with that offset."""
    with RunningSet(control=True, mode='"production"', seed="7") as each:
        offset = free_offset([*each.ports.values(), each.control_port])
        command = [*FLEETGEN, "up", "--config", str(each.config), "--port-offset", str(offset)]
        with (each.folder / "output").open("wb") as output:
            each.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        with client_of(each, offset) as client:
            wait_for(lambda: answers(client), 20, "The start")
            wait_for(lambda: all(batches["total_batches"] for batches in generators(client)), 10, "The first batches")
        yield each, offset


def free_offset(ports: list[int]) -> int:
    """Return what can be added to all of these ports."""
    for offset in range(7, 100):
        with ExitStack() as probes:
            try:
                for port in ports:
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return offset
    raise AssertionError("No offset is free")


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


def health(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/api/health")
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


def generators(client: httpx.Client) -> list[dict[str, Any]]:
    told = health(client)
    return [told["company_generator"], told["driver_generator"]]


def is_paused(client: httpx.Client) -> bool:
    return bool(health(client)["lifecycle"]["paused"])


def seen(client: httpx.Client, name: str, **labels: str) -> float | None:
    return samples(client.get("/metrics").text).get((f"fleetgen_{name}", frozenset(labels.items())))


def acknowledgement(client: httpx.Client, batch_number: int, stream: str = "events") -> dict[str, Any]:
    return {"dataset_id": health(client)["dataset_id"], "stream": stream, "batch_number": batch_number}


# --- health


def test_health_has_the_fields_of_the_contract_and_no_other(api: httpx.Client) -> None:
    told = health(api)
    assert set(told) == {*HEALTH, "emulated_config"}
    for name, fields in HEALTH.items():
        assert fields is None or set(told[name]) == fields, name
    assert {frozenset(each) for each in told["processes"]} == {
        frozenset({"name", "state", "pid", "uptime_seconds", "restarts", "since"})
    }


def test_emulated_mode_tells_its_cadence(api: httpx.Client) -> None:
    assert health(api)["generation_mode"] == "emulated"
    assert health(api)["emulated_config"] == {
        "company_interval_seconds": 1,
        "driver_interval_seconds": 1,
        "companies_per_batch": 5,
        "events_per_batch_range": {"min": 5, "max": 20},
    }


def test_production_mode_has_no_emulated_config(shifted: tuple[RunningSet, int]) -> None:
    running, offset = shifted
    with client_of(running, offset) as client:
        told = health(client)
    assert told["generation_mode"] == "production"
    assert set(told) == set(HEALTH)


def test_health_agrees_with_the_disk(paused: httpx.Client, running: RunningSet) -> None:
    told = health(paused)
    for stream, name in ((Stream.COMPANIES, "company_generator"), (Stream.EVENTS, "driver_generator")):
        metas = [json.loads(path.read_text()) for path in sorted((running.data / "raw" / stream).glob("*/*_meta.json"))]
        assert told[name]["total_batches"] == len(metas)
        assert told[name]["total_records"] == sum(meta["record_count"] for meta in metas)
        assert told[name]["last_batch_id"] == metas[-1]["batch_id"]
        assert told[name]["idle_seconds"] >= 0
        written = instant(told[name]["last_batch_time"]) - instant(metas[-1]["generation_time"])
        assert abs(written) < BESIDE_OTHERS * SECOND
    assert told["verification"] == {
        "companies_exists": True,
        "events_exists": True,
        "missing": [],
        "event_file_count": told["driver_generator"]["total_batches"],
    }
    assert (running.data / told["state"]["state_file"]).samefile(running.data / "manifests" / "generator_state.json")
    assert told["dataset_id"] == running.manifest()["dataset_id"]


def test_health_names_every_process_with_its_pid(api: httpx.Client, running: RunningSet) -> None:
    told = {each["name"]: each for each in health(api)["processes"]}
    assert set(told) == {"company", "driver", "control"}
    assert {name: told[name]["pid"] for name in running.pids()} == running.pids()
    assert {each["state"] for each in told.values()} == {"RUNNING"}


def test_before_the_first_batch_what_is_not_there_is_null(empty: httpx.Client) -> None:
    told = health(empty)
    nothing = {"last_batch_id": None, "last_batch_time": None, "idle_seconds": None, "next_batch_time": None}
    assert told["company_generator"] == {"total_batches": 0, "total_records": 0, **nothing}
    assert told["driver_generator"] == {"total_batches": 0, "total_records": 0, **nothing, "last_interval_end": None}
    assert told["pipeline"] == {
        "latencies": None,
        "backlog": None,
        "lines": None,
        "rejected": None,
        "score": None,
        "consumers": [],
    }
    assert told["verification"]["missing"] == ["raw/companies.jsonl", "raw/events"]
    assert told["verification"]["event_file_count"] == 0
    assert set(told) == {*HEALTH, "emulated_config"}


def test_an_invalid_edit_is_told_and_changes_nothing_until_it_is_mended(api: httpx.Client, running: RunningSet) -> None:
    good = running.config.read_text()
    digest = health(api)["config"]["digest"]
    try:
        running.config.write_text(good.replace('mode = "emulated"', 'mode = "emulatd"', 1))
        wait_for(lambda: not health(api)["config"]["valid"], 3, "Noticing the edit")
        told = health(api)
        assert told["status"] == "degraded"
        assert [reason["code"] for reason in told["reasons"]] == ["config_invalid"]
        assert "emulatd" in told["config"]["error"]
        assert (told["config"]["digest"], told["generation_mode"]) == (digest, "emulated")
        assert seen(api, "config_last_reload_successful") == 0
    finally:
        running.config.write_text(good)
    wait_for(lambda: health(api)["config"]["valid"], 3, "Noticing the mended file")
    assert health(api)["status"] == "running"
    assert seen(api, "config_last_reload_successful") == 1


# --- pause, resume, clean


def test_a_pause_is_done_within_two_seconds_and_nothing_appears_until_the_resume(
    api: httpx.Client, running: RunningSet
) -> None:
    watch = Watch()
    answer = api.post("/api/pause", json={"reason": "maintenance"})
    assert watch.within(2)
    before = [running.batch_count(stream) for stream in Stream]
    assert answer.status_code == 200
    told = answer.json()
    assert set(told) == CHANGED
    assert [told[name] for name in ("success", "action", "status", "error", "extra")] == [
        True,
        "pause",
        "paused",
        None,
        None,
    ]
    time.sleep(2.2)
    assert [running.batch_count(stream) for stream in Stream] == before
    assert health(api)["status"] == "paused"
    assert seen(api, "paused") == 1
    lifecycle = health(api)["lifecycle"]
    assert (lifecycle["paused"], lifecycle["pause_reason"]) == (True, "maintenance")
    assert instant(lifecycle["paused_at"]) <= instant(told["timestamp"])
    watch = Watch()
    assert api.post("/api/resume").json()["status"] == "running"
    assert watch.within(2)
    wait_for(lambda: running.batch_count(Stream.EVENTS) > before[1] and not is_paused(api), 3, "The next batch")
    assert health(api)["lifecycle"]["paused_at"] is None


def test_pause_and_resume_can_be_repeated(api: httpx.Client, running: RunningSet) -> None:
    first, second = (api.post("/api/pause", json={"reason": why}) for why in ("one", "two"))
    assert [first.status_code, second.status_code] == [200, 200]
    assert second.json()["message"] == "Already paused."
    wait_for(lambda: is_paused(api), 1, "The pause in /health")
    assert health(api)["lifecycle"]["pause_reason"] == "one"
    first, second = api.post("/api/resume"), api.post("/api/resume")
    assert [each.json()["status"] for each in (first, second)] == ["running", "running"]
    assert set(first.json()) == set(second.json()) == CHANGED
    assert first.json()["extra"]["baseline_actions"] == []
    assert second.json()["extra"] is None


def test_a_pause_survives_a_kill_of_the_control_process(paused: httpx.Client, running: RunningSet) -> None:
    (before,) = (each["pid"] for each in health(paused)["processes"] if each["name"] == "control")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: answers(paused), 10, "The restart")
    told = wait_for(lambda: _with_processes(health(paused)), 5, "The look at the processes")
    assert told["lifecycle"]["paused"] is True
    assert {each["name"]: each["restarts"] for each in told["processes"]}["control"] >= 1


def _with_processes(told: dict[str, Any]) -> dict[str, Any] | None:
    return told if told["processes"] else None


def test_a_clean_needs_a_pause_and_deletes_nothing_without_one(api: httpx.Client, running: RunningSet) -> None:
    before = sorted((running.data / "raw").glob("*/*"))
    refused = api.post("/api/clean")
    assert (refused.status_code, problem(refused)) == (400, "pause_required")
    assert set(before) <= set((running.data / "raw").glob("*/*"))


def test_a_clean_of_a_paused_set_leaves_an_empty_dataset_with_a_new_id(
    paused: httpx.Client, running: RunningSet
) -> None:
    before = health(paused)["dataset_id"]
    cleaned, again = paused.post("/api/clean"), paused.post("/api/clean")
    assert set(cleaned.json()) == {"success", "deleted_count", "deleted_items", "duration_ms", "errors"}
    assert cleaned.json()["success"] is True
    assert cleaned.json()["deleted_count"] == len(cleaned.json()["deleted_items"]) > 0
    assert {"raw", "manifests/ledger"} <= set(cleaned.json()["deleted_items"])
    assert (again.status_code, again.json()["deleted_items"], again.json()["success"]) == (200, [], True)
    assert not (running.data / "raw").exists()
    assert not list(running.data.glob(".trash-*"))
    wait_for(lambda: health(paused)["dataset_id"] != before, 1, "The new dataset's id")
    assert health(paused)["lifecycle"]["paused"] is True


def test_a_clean_leaves_the_logs_unless_they_are_asked_for(paused: httpx.Client, running: RunningSet) -> None:
    paused.post("/api/clean")
    assert len(running.log("driver")) > 0
    asked_at = iso(system_now())
    assert "manifests/logs/driver.jsonl" in paused.post("/api/clean", params={"logs": "true"}).json()["deleted_items"]
    wait_for(lambda: "cleaned" in [line["kind"] for line in running.log("control")], 5, "The line about it")
    left = [*running.log("driver"), *running.log("control")]
    assert all(line["timestamp"] > asked_at for line in left), "a process may have said something since"


def test_a_resume_of_an_empty_set_makes_the_baseline_at_once_and_is_remembered(
    empty: httpx.Client, running: RunningSet
) -> None:
    count = health(empty)["auto_reinit_count"]
    watch = Watch()
    extra = empty.post("/api/resume").json()["extra"]
    assert watch.within(2)
    assert set(extra) == {"baseline_actions", "pending", "auto_reinit"}
    assert extra["baseline_actions"] == ["companies:5", "driver_batch:1"]
    assert extra["auto_reinit"]["performed"] is True
    assert extra["auto_reinit"]["missing_files"] == ["raw/companies.jsonl", "raw/events"]
    wait_for(lambda: all(running.batch_count(stream) for stream in Stream), 3, "The baseline")
    noted = wait_for(lambda: health(empty)["auto_reinit_count"] == count + 1 and health(empty), 1, "The note")
    assert noted["auto_reinit"] == extra["auto_reinit"]
    empty.post("/api/pause")
    ordinary = empty.post("/api/resume").json()["extra"]
    assert ordinary["baseline_actions"] == []
    assert ordinary["auto_reinit"] == extra["auto_reinit"]
    assert health(empty)["auto_reinit"] == extra["auto_reinit"]
    assert health(empty)["auto_reinit_count"] == count + 1


def test_the_baseline_is_sized_by_the_mode(shifted: tuple[RunningSet, int]) -> None:
    running, offset = shifted
    with client_of(running, offset) as client:
        client.post("/api/pause")
        client.post("/api/clean")
        assert client.post("/api/resume").json()["extra"]["baseline_actions"] == ["companies:100", "driver_batch:1"]
        wait_for(lambda: generators(client)[0]["total_records"] == 100, 5, "The companies")


# --- logs, batches, events


def test_a_page_of_logs_has_the_newest_lines_first(paused: httpx.Client) -> None:
    told = paused.get("/api/logs", params={"limit": 5}).json()
    assert set(told) == LOG_PAGE
    assert told["totalReturned"] == len(told["entries"]) == 5
    assert all(set(entry) == LOG_ENTRY and entry["ts"] == entry["timestamp"] for entry in told["entries"])
    times = [instant(entry["timestamp"]) for entry in told["entries"]]
    assert times == sorted(times, reverse=True)
    assert "Paused over HTTP" in [entry["message"] for entry in told["entries"]]


def test_pages_of_logs_join_without_loss_or_repetition(paused: httpx.Client) -> None:
    newest = paused.get("/api/logs", params={"limit": 1}).json()
    older = [
        paused.get("/api/logs", params={"limit": limit, "before": newest["nextBefore"]}).json() for limit in (6, 2)
    ]
    rest = paused.get("/api/logs", params={"limit": 4, "before": older[1]["nextBefore"]}).json()
    assert older[1]["entries"] + rest["entries"] == older[0]["entries"]
    assert newest["entries"][0] not in older[0]["entries"]
    paused.post("/api/resume")
    newer = wait_for(lambda: _resumed(_entries(paused, since=newest["nextSince"])), 3, "The newer lines")
    assert newest["entries"][0] not in newer


def _resumed(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return entries if "Resumed over HTTP" in [entry["message"] for entry in entries] else []


def _entries(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = client.get("/api/logs", params=query).json()["entries"]
    return entries


def test_logs_can_be_had_by_level(paused: httpx.Client) -> None:
    assert paused.post("/api/pause", headers={"origin": "http://elsewhere.example"}).status_code == 403
    found = wait_for(lambda: _entries(paused, level="warning"), 3, "The warning")
    assert {entry["level"] for entry in found} == {"warning"}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=1.5",
        "since=yesterday",
        "since=",
        "before=2026-13-01T00:00:00Z",
        "before=2026-01-01T00:00:00",
        "level=loud",
        "level=info&level=loud",
        f"since={'2' * 201}",
    ],
)
def test_a_bad_question_about_the_logs_is_refused_with_a_reason(api: httpx.Client, query: str) -> None:
    refused = api.get(f"/api/logs?{query}")
    assert (refused.status_code, problem(refused)) == (422, "invalid_request")
    assert query.partition("=")[0] in refused.json()["detail"]


@pytest.mark.parametrize("stream", list(Stream))
def test_batches_are_the_metas_on_disk_newest_first(paused: httpx.Client, running: RunningSet, stream: Stream) -> None:
    paths = sorted((running.data / "raw" / stream).glob("*/batch_meta.json"), reverse=True)
    told = paused.get("/api/batches", params={"stream": stream.value, "limit": 3}).json()
    assert told == {"batches": [json.loads(path.read_text()) for path in paths[:3]]}


def test_batches_of_both_streams_are_in_the_order_of_their_ends(paused: httpx.Client) -> None:
    wait_for(lambda: len(paused.get("/api/batches").json()["batches"]) >= 2, 3, "The batches")
    told = paused.get("/api/batches").json()["batches"]
    assert {batch["stream"] for batch in told} == {"companies", "events"}
    ends = [instant(batch["interval_end"]) for batch in told]
    assert ends == sorted(ends, reverse=True)
    assert len(paused.get("/api/batches", params={"limit": 1}).json()["batches"]) == 1


def test_an_empty_dataset_has_no_batches(empty: httpx.Client) -> None:
    assert empty.get("/api/batches").json() == {"batches": []}


@pytest.mark.parametrize("query", ["stream=trucks", "stream=", "limit=0", "limit=501", "limit=many"])
def test_a_bad_question_about_batches_is_refused(api: httpx.Client, query: str) -> None:
    refused = api.get(f"/api/batches?{query}")
    assert (refused.status_code, problem(refused)) == (422, "invalid_request")


@pytest.mark.parametrize("stream", Stream)
def test_one_batch_is_told_as_it_lies_on_disk(paused: httpx.Client, running: RunningSet, stream: Stream) -> None:
    folder = max((running.data / "raw" / stream).iterdir())
    told = paused.get(f"/api/batches/{stream}/{folder.name}", params={"lines": 2}).json()
    assert told == {
        "meta": json.loads((folder / "batch_meta.json").read_text()),
        "lines": (folder / f"{stream}.jsonl").read_text().splitlines()[:2],
        "issues": [],
        "rejected": None,  # this set has no pipeline
    }


def test_a_batch_that_is_not_there_is_told_with_how_batches_are_named(api: httpx.Client) -> None:
    missing = api.get("/api/batches/events/20200101T000000Z")
    assert (missing.status_code, problem(missing)) == (404, "not_found")
    for name in ("today", "20200101T000000", "..%2F..%2Fmanifests"):
        assert api.get(f"/api/batches/events/{name}").status_code in (404, 422)
    assert api.get("/api/batches/trucks/20200101T000000Z").status_code == 422


def test_the_stream_tells_of_batches_changes_edits_and_acknowledgements(api: httpx.Client, running: RunningSet) -> None:
    with client_of(running) as other, api.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = server_events(answer)
        batch = next_of(events, "batch_generated")
        other.put("/api/consumers/reader", json=acknowledgement(other, 0))
        processed = next_of(events, "batch_processed")
        other.post("/api/pause", json={"reason": "told"})
        changed = next_of(events, "state_changed")
        running.config.write_text(running.config.read_text() + "# edited\n")
        edited = next_of(events, "config_reloaded")
    api.delete("/api/consumers/reader")
    assert {"stream", "batch_id", "batch_number", "record_count"} <= set(batch.data)
    assert (running.data / "raw" / batch.data["stream"] / batch.data["batch_id"] / "batch_meta.json").exists()
    assert (processed.data["consumer"], processed.data["batch_number"]) == ("reader", 0)
    assert (changed.data["status"], changed.data["pause_reason"]) == ("paused", "told")
    assert edited.data["valid"] is True


def next_of(events: Iterator[ServerEvent], kind: str) -> ServerEvent:
    return next(event for event in events if event.kind == kind)


def test_a_client_that_comes_back_gets_what_it_missed(api: httpx.Client, running: RunningSet) -> None:
    with api.stream("GET", "/api/events") as answer:
        last = next(server_events(answer))
    for reason in ("one", "two"):
        api.post("/api/pause", json={"reason": reason})
        wait_for(lambda: is_paused(api), 1, "The pause")
        api.post("/api/resume")
        wait_for(lambda: not is_paused(api), 1, "The resume")
    with api.stream("GET", "/api/events", headers={"last-event-id": last.id}) as answer:
        events = server_events(answer)
        missed = [next_of(events, "state_changed") for _ in range(4)]
    assert [event.data["pause_reason"] for event in missed] == ["one", None, "two", None]
    numbers = [int(event.id.rpartition("-")[2]) for event in missed]
    assert numbers == sorted(numbers)
    assert numbers[0] > int(last.id.rpartition("-")[2])


def test_only_so_many_streams_are_open_at_once(api: httpx.Client, running: RunningSet) -> None:
    with ExitStack() as open_streams:
        for _ in range(100):
            connection = open_streams.enter_context(socket.create_connection(("127.0.0.1", running.control_port)))
            connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in connection.recv(1024)
        refused = api.get("/api/events")
        assert (refused.status_code, problem(refused)) == (503, "service_unavailable")
        assert answers(api)
    wait_for(lambda: _is_admitted(api), 5, "Room after the others have left")


def _is_admitted(client: httpx.Client) -> bool:
    with client.stream("GET", "/api/events") as answer:
        return answer.status_code == 200


# --- consumers


def test_a_consumer_is_known_by_its_first_acknowledgement_until_it_leaves(paused: httpx.Client) -> None:
    newest = health(paused)["driver_generator"]["total_batches"] - 1
    told = paused.put("/api/consumers/lake.v1-x_y", json=acknowledgement(paused, newest)).json()
    assert told == {
        "success": True,
        "name": "lake.v1-x_y",
        "registered": True,
        "acknowledged": {"events": newest},
        "backlog": {"companies": 0, "events": 0},  # of what it never acknowledged, it is waited for from now on
    }
    older = paused.put("/api/consumers/lake.v1-x_y", json=acknowledgement(paused, 0)).json()
    assert older["acknowledged"] == {"events": newest}
    consumers = wait_for(lambda: health(paused)["pipeline"]["consumers"], 1, "The consumer in /health")
    assert [set(each) for each in consumers] == [{"name", "acknowledged", "backlog", "acknowledged_at"}]
    assert (consumers[0]["name"], consumers[0]["backlog"]["events"]) == ("lake.v1-x_y", 0)
    assert seen(paused, "backlog_batches", consumer="lake.v1-x_y", stream="companies") == 0
    left, again = paused.delete("/api/consumers/lake.v1-x_y"), paused.delete("/api/consumers/lake.v1-x_y")
    assert (left.status_code, again.status_code) == (200, 200)
    assert left.json()["registered"] is False
    wait_for(lambda: not health(paused)["pipeline"]["consumers"], 1, "The leaving in /health")
    assert seen(paused, "backlog_batches", consumer="lake.v1-x_y", stream="companies") is None


def test_an_acknowledgement_of_another_dataset_is_refused(paused: httpx.Client) -> None:
    before = acknowledgement(paused, 0)
    assert paused.post("/api/clean").status_code == 200
    refused = paused.put("/api/consumers/lake", json=before)
    assert (refused.status_code, problem(refused)) == (409, "wrong_dataset")
    assert health(paused)["pipeline"]["consumers"] == []


def test_an_acknowledgement_of_what_was_never_published_is_refused(paused: httpx.Client) -> None:
    count = health(paused)["driver_generator"]["total_batches"]
    refused = paused.put("/api/consumers/lake", json=acknowledgement(paused, count))
    assert (refused.status_code, problem(refused)) == (422, "invalid_request")
    assert f"the newest is {count - 1}" in refused.json()["detail"]
    assert health(paused)["pipeline"]["consumers"] == []


def test_there_is_a_greatest_number_of_consumers(paused: httpx.Client) -> None:
    asked = acknowledgement(paused, 0)
    names = [f"consumer-{number}" for number in range(32)]
    try:
        assert {paused.put(f"/api/consumers/{name}", json=asked).status_code for name in names} == {200}
        refused = paused.put("/api/consumers/one-more", json=asked)
        assert (refused.status_code, problem(refused)) == (422, "invalid_request")
        assert paused.put("/api/consumers/consumer-0", json=asked).status_code == 200
    finally:
        for name in names:
            paused.delete(f"/api/consumers/{name}")


# --- metrics and targets


def test_a_killed_driver_is_seen_as_a_restart_and_soon_up_again(api: httpx.Client, running: RunningSet) -> None:
    before = wait_for(lambda: seen(api, "process_up", process="driver"), 5, "The driver") and restarts(api)
    os.kill(running.pids()["driver"], signal.SIGKILL)
    wait_for(lambda: restarts(api) == before + 1, 5, "The restart in the metrics")
    wait_for(lambda: seen(api, "process_up", process="driver") == 1, 5, "The driver up again")
    told = {each["name"]: each for each in health(api)["processes"]}
    assert told["driver"]["restarts"] == before + 1
    assert told["driver"]["pid"] == running.pids()["driver"]


def restarts(client: httpx.Client) -> float:
    return seen(client, "process_restarts_total", process="driver") or 0


def test_a_stopped_process_is_told_with_its_remedy(api: httpx.Client, running: RunningSet) -> None:
    running.ctl("stop", "company")
    try:
        told = wait_for(lambda: _with_stopped(health(api)), 3, "The stop in /health")
        assert seen(api, "process_up", process="company") == 0
        assert told["status"] == "degraded"
        assert [(each["code"], each["detail"]) for each in told["reasons"]] == [
            ("process_down", "company is STOPPED: start it with `supervisorctl start company`.")
        ]
    finally:
        running.ctl("start", "company")
    wait_for(lambda: health(api)["status"] == "running" and _serves_metrics(running, "company"), 5, "All well again")


def _with_stopped(told: dict[str, Any]) -> dict[str, Any] | None:
    return told if any(each["state"] == "STOPPED" for each in told["processes"]) else None


def _serves_metrics(running: RunningSet, process: str) -> bool:
    try:
        return bool(running.metrics(process))
    except OSError:
        return False


def test_every_target_serves_metrics(api: httpx.Client) -> None:
    told = api.get("/api/targets")
    assert told.headers["content-type"] == "application/json"
    assert [set(each) for each in told.json()] == [{"targets", "labels"}] * 3
    assert [each["labels"] for each in told.json()] == [{"process": name} for name in ("company", "driver", "control")]
    for each in told.json():
        (target,) = each["targets"]
        assert "process_resident_memory_bytes" in api.get(f"http://{target}/metrics").text


def test_targets_respect_the_port_offset(shifted: tuple[RunningSet, int]) -> None:
    running, offset = shifted
    ports = [*running.ports.values(), running.control_port]
    with client_of(running, offset) as client:
        told = client.get("/api/targets").json()
        assert [each["targets"] for each in told] == [[f"127.0.0.1:{port + offset}"] for port in ports]
        assert {client.get(f"http://{each['targets'][0]}/metrics").status_code for each in told} == {200}


# --- errors and methods


@pytest.mark.parametrize(
    "path", ["/nothing", "/api", "/api/", "/api/nothing", "/api/health/", "/docs", "/api/consumers/"]
)
def test_what_is_not_there_is_404(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, problem(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/pause", "POST"),
        ("PUT", "/api/resume", "POST"),
        ("DELETE", "/api/clean", "POST"),
        ("POST", "/api/health", "GET, HEAD"),
        ("PATCH", "/metrics", "GET, HEAD"),
        ("GET", "/api/consumers/lake", "DELETE, PUT"),
        ("OPTIONS", "/api/consumers/lake", "DELETE, PUT"),
    ],
)
def test_what_cannot_be_done_is_405_and_says_what_can(api: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, problem(answer)) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET"])
@pytest.mark.parametrize("path", ["/api/pause", "/api/resume", "/api/clean", "/api/consumers/lake"])
def test_a_method_that_must_be_harmless_changes_nothing(api: httpx.Client, method: str, path: str) -> None:
    before = health(api)
    assert api.request(method, path).status_code == 405
    after = health(api)
    for name in ("dataset_id", "lifecycle", "auto_reinit_count"):
        assert after[name] == before[name]
    assert after["pipeline"]["consumers"] == before["pipeline"]["consumers"]


def test_the_root_leads_to_something(api: httpx.Client) -> None:
    assert api.get("/", follow_redirects=True).status_code == 200


def test_nothing_has_failed_inside(api: httpx.Client, running: RunningSet) -> None:
    """Of all that this module has asked for."""
    assert (running.folder / "run" / "control.stderr.log").read_text() == ""
    faults = [line for line in running.log("control") if line["level"] in ("error", "critical")]
    assert [fault for fault in faults if fault["kind"] != "config"] == []
