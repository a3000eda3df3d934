"""The set as a person meets it: up, down, status, supervisorctl, Ctrl-C, and what is refused."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from fleetgen.config.loading import load
from fleetgen.supervision.client import Supervisor
from fleetgen.supervision.programs import render
from support.patience import Watch, wait_for
from support.sets import FLEETGEN, RunningSet, free_ports, running_set


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with running_set() as each:
        yield each


def first_events(running: RunningSet) -> Path | None:
    return next((path for path in running.data.glob("raw/events/*/events.jsonl") if path.stat().st_size), None)


def test_a_driver_batch_with_events_is_there_within_five_seconds() -> None:
    with running_set() as running:
        wait_for(lambda: first_events(running), 5, "A driver batch with events")


def test_supervisorctl_shows_both_processes_running(running: RunningSet) -> None:
    assert running.ctl("status").count("RUNNING") == 2


def test_a_process_can_be_stopped_and_started_by_itself(running: RunningSet) -> None:
    pid = running.pids()["driver"]
    assert "driver: stopped" in running.ctl("stop", "driver")
    assert "driver" not in running.pids()
    assert "driver: started" in running.ctl("start", "driver")
    assert wait_for(lambda: running.pids().get("driver"), 5, "The start of the driver") != pid


def test_status_shows_processes_and_streams(running: RunningSet) -> None:
    wait_for(lambda: first_events(running), 10, "A driver batch with events")
    facts = json.loads(running.call("status", "--json").stdout)
    assert facts["running"]
    assert {each["name"] for each in facts["processes"]} == {"company", "driver"}
    assert {each["stream"]: each["batches"] >= 1 for each in facts["streams"]} == {"companies": True, "events": True}
    assert "RUNNING" in running.call("status").stdout


def test_a_second_set_is_refused_and_told_of_the_first(running: RunningSet) -> None:
    assert running.process is not None
    refused = running.call("up", check=False)
    assert refused.returncode == 75
    assert f"process {running.process.pid}" in refused.stderr
    assert "fleetgen down" in refused.stderr


def test_a_second_company_is_refused_and_told_of_the_first(running: RunningSet) -> None:
    command = [*FLEETGEN, "run", "company", "--port", str(free_ports(1)[0]), "--config", str(running.config)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 75
    assert f"process {running.pids()['company']}" in refused.stderr + refused.stdout


def test_the_terminal_shows_addresses_things_to_try_and_each_batch_as_a_sentence(running: RunningSet) -> None:
    wait_for(lambda: "Driver batch 1: " in running.output, 15, "The second driver batch")
    assert f"http://127.0.0.1:{running.ports['company']}/metrics" in running.output
    assert "Try, in another terminal" in running.output
    assert "Company batch 0: 10 companies generated" in running.output
    assert '{"' not in running.output


def test_log_files_hold_one_json_object_a_line_with_the_named_keys(running: RunningSet) -> None:
    wait_for(lambda: len(running.log("driver")) > 1, 15, "A line in the driver's log")
    line = next(line for line in running.log("driver") if line.get("kind") == "batch_published")
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    named = {"stream", "mode", "segment", "batch_id", "batch_number", "record_count", "target_count", "valid_count"}
    assert named | {"corrupted_count", "duration_seconds", "start_lag_seconds", "batches_per_minute"} <= set(line)


def test_supervisorctl_runs_only_for_the_owner(running: RunningSet) -> None:
    run = running.folder / "run"
    assert run.stat().st_mode & 0o777 == 0o700
    assert (run / "supervisor.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_leaves_no_process(how: signal.Signals) -> None:
    with running_set() as running:
        watch = Watch()
        assert running.stop(how) == 0
        assert watch.within(6)
        assert running.descendants() == []
        assert "Stopping driver generator" in running.output


def test_down_waits_until_the_set_has_ended() -> None:
    with running_set() as running:
        assert "has stopped" in running.call("down").stdout
        assert running.descendants() == []
        assert "not running" in running.call("down").stdout
        status = running.call("status", check=False)
        assert status.returncode == 69
        assert "fleetgen up" in status.stderr


def test_a_killed_supervisord_leaves_no_child_after_two_seconds() -> None:
    with running_set() as running:
        assert running.process is not None
        running.process.kill()
        running.process.wait()
        wait_for(lambda: not running.pids(), 2, "The end of the children")
        running.start()
        wait_for(lambda: first_events(running), 10, "A batch after the restart")


@pytest.mark.parametrize("process", ["company", "driver"])
def test_a_port_in_use_is_named_with_its_remedy(process: str) -> None:
    with RunningSet() as running, socket.socket() as taken:
        taken.bind(("127.0.0.1", running.ports[process]))
        taken.listen()
        refused = running.call("up", check=False)
        assert refused.returncode == 75
        assert str(running.ports[process]) in refused.stderr
        assert f"metrics.{process}_port" in refused.stderr
        command = [*FLEETGEN, "run", process, "--config", str(running.config)]
        alone = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert alone.returncode == 75
        assert str(running.ports[process]) in alone.stderr + alone.stdout


def test_the_other_mode_is_in_force_after_one_edited_line_and_a_restart() -> None:
    with running_set() as running:
        wait_for(lambda: first_events(running), 10, "A driver batch with events")
        running.stop()
        running.call("mode", "production")
        running.start()
        wait_for(lambda: len(running.manifest()["segments"]) == 2, 10, "The second segment")
        assert "starts in production mode" in running.output
        assert "Starting driver generator in production mode" in running.output
        active = 'fleetgen_mode_active{mode="production"} 1.0'
        wait_for(lambda: active in running.metrics("driver"), 5, "The driver's entry into it")


def test_pause_and_resume_take_effect_within_two_seconds() -> None:
    with running_set(company_interval='"PT1S"', driver_interval='"PT1S"') as running:
        wait_for(lambda: running.batch_count("events") > 2, 10, "Some batches")
        running.call("pause")
        paused_with = running.batch_count("events")
        time.sleep(3)
        assert running.batch_count("events") == paused_with
        assert "fleetgen_paused 1.0" in running.metrics("driver")
        running.call("resume")
        wait_for(lambda: running.batch_count("events") > paused_with, 2.5, "A batch after the resume")


def test_clean_needs_a_pause_and_resume_begins_a_new_dataset() -> None:
    with running_set(company_interval='"PT1S"', driver_interval='"PT1S"') as running:
        wait_for(lambda: running.batch_count("events") > 2, 10, "Some batches")
        first = running.manifest()["dataset_id"]
        refused = running.call("clean", "--yes", check=False)
        assert refused.returncode == 1
        assert "fleetgen pause" in refused.stderr
        assert running.call("clean", check=False).returncode == 2
        running.call("pause")
        assert "Deleted" in running.call("clean", "--yes").stdout
        assert "nothing to delete" in running.call("clean", "--yes").stdout
        assert sorted(path.name for path in running.data.iterdir()) == ["manifests"]
        running.call("resume")
        wait_for(lambda: first_events(running), 5, "The first batch of the new dataset")
        assert running.manifest()["dataset_id"] != first
        wait_for(lambda: running.batch_count("events") > 2, 10, "Some batches")
        assert "no difference" in running.call("verify", "--all").stdout

        def told() -> bool:
            sample = f'fleetgen_batches_total{{mode="emulated",stream="events"}} {running.batch_count("events"):.1f}'
            return sample in running.metrics("driver")

        wait_for(told, 5, "A sample that is what is on disk, between two batches")


@pytest.mark.parametrize("moment", [0.3, 1.0, 2.5])
def test_sigterm_in_the_middle_of_a_large_batch_ends_within_two_seconds(moment: float) -> None:
    settings = {"mode": '"production"', "event_rate_per_driver": "1000", "drivers_per_company": "100"}
    with running_set(**settings) as running:
        staging = running.data / ".staging" / "events.batch"
        wait_for(staging.exists, 20, "The beginning of a batch of ten million events")
        time.sleep(moment)
        os.kill(running.pids()["driver"], signal.SIGTERM)
        wait_for(lambda: "driver" not in running.pids(), 2, "The end of the driver")
        assert running.batch_count("events") == 0


def test_supervisord_accepts_the_file_that_is_rendered() -> None:
    with RunningSet() as running:
        loaded = load(running.config)
        (running.folder / "run").mkdir()
        loaded.layout.logs.mkdir(parents=True)
        conf = running.config.with_name("supervisord.conf")
        conf.write_text(render(loaded))
        options = ServerOptions()
        options.realize(["-c", str(conf)])
        programs = {group.name: group.process_configs[0] for group in options.process_group_configs}
        assert set(programs) == {"company", "driver"}
        assert programs["driver"].exitcodes == [0, 71, 75, 78]
        assert options.nodaemon
        assert not Supervisor(loaded.socket).is_up()


def test_a_path_that_supervisord_cannot_express_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a ;b"
    subprocess.run([*FLEETGEN, "init", str(folder)], check=True, capture_output=True)
    command = [sys.executable, "-m", "fleetgen", "up", "--config", str(folder / "etc" / "generator.toml")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 78
    assert "rename the folder" in refused.stderr


def test_a_folder_with_spaces_percents_and_quotes_works() -> None:
    with RunningSet() as plain:
        odd = plain.folder / "50% o'f x"
        plain.config.parent.rename(odd)
        plain.config = odd / "generator.toml"
        plain.start()
        wait_for(lambda: first_events(plain), 10, "A batch")
