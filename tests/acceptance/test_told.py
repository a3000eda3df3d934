"""What a person asks of a set and does to it: how it is, why it is so, and who did what, in the log."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.configs import SHIPPED, fleetgen, set_folder
from support.patience import Watch, wait_for
from support.sets import FLEETGEN, RunningSet, free_ports, running_set


def fleetgen_called() -> str:
    """Return how these tests call fleetgen, as hints repeat it."""
    return f"{sys.executable} -m fleetgen"


@pytest.fixture(scope="module", params=[True, False], ids=["with control", "without control"])
def running(request: pytest.FixtureRequest) -> Iterator[RunningSet]:
    with running_set(control=request.param) as up:
        wait_for(lambda: up.batch_count("events") > 0, 30, "The first batch")
        yield up


def told(running: RunningSet) -> dict[str, object]:
    answer: dict[str, object] = json.loads(running.call("status", "--json").stdout)
    return answer


def codes(running: RunningSet) -> list[str]:
    reasons: Any = told(running)["reasons"]
    return [each["code"] for each in reasons]


def test_status_tells_of_health_and_what_a_stopped_process_means(running: RunningSet) -> None:
    assert told(running)["status"] in ("running", "degraded")
    running.ctl("stop", "driver")

    wait_for(lambda: "process_down" in codes(running), 20, "The stop to be noticed")
    assert told(running)["status"] == "degraded"
    shown = running.call("status").stdout
    assert shown.startswith("degraded, emulated mode; data in ")
    assert (
        f"driver is STOPPED: start it with `{fleetgen_called()} ctl --config {running.config} start driver`." in shown
    )
    assert "no events are published meanwhile" in shown

    running.ctl("start", "driver")
    wait_for(lambda: "process_down" not in codes(running), 20, "The start to be noticed")


def test_status_tells_since_when_and_why_the_set_is_paused(running: RunningSet) -> None:
    running.call("pause", "--reason", "reading")
    facts = told(running)
    shown = running.call("status").stdout
    running.call("resume")

    assert (facts["paused"], facts["pause_reason"]) == (True, "reading")
    assert str(facts["paused_at"]).endswith("Z")
    assert "Paused since " in shown
    assert " s): reading. Nothing is published until" in shown


def test_a_second_process_of_a_stream_is_told_of_the_first(running: RunningSet) -> None:
    refused = running.call("run", "driver", check=False)
    assert refused.returncode == 75
    assert f"already made by process {running.pids()['driver']}" in refused.stderr
    assert "already made by process" in refused.stdout, "Whoever keeps only the log finds it there"
    command = [*FLEETGEN, "run", "driver", "--config", str(running.config)]
    together = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    assert together.stdout.count("already made by process") == 1
    assert "port" not in refused.stderr


def test_a_stopped_set_is_told_in_one_way(tmp_path: Path) -> None:
    set_folder(tmp_path, SHIPPED.read_text())
    for command in (("status",), ("reload",), ("metrics",), ("ctl", "status")):
        answer = fleetgen(*command, cwd=tmp_path)
        assert answer.returncode == 69
        assert answer.stderr == f"fleetgen: The set is not running: start it with `{fleetgen_called()} up`.\n"


@pytest.mark.parametrize(
    "command",
    [
        ("verify",),
        ("tables",),
        ("query", "FROM events"),
        ("score",),
        ("inspect", "events", "x"),
        ("replay", "events", "x"),
        ("run", "pipeline", "--once"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("paused", [False, True], ids=["none", "empty"])
def test_a_dataset_that_is_not_there_is_told_in_one_way(tmp_path: Path, command: tuple[str, ...], paused: bool) -> None:
    set_folder(tmp_path, SHIPPED.read_text())
    if paused:
        assert fleetgen("pause", cwd=tmp_path).returncode == 0
    answer = fleetgen(*command, cwd=tmp_path)
    data = tmp_path / "data"
    assert answer.returncode == 66
    assert answer.stderr == f"fleetgen: There is no dataset in {data}: start one with `{fleetgen_called()} up`.\n"


def test_what_people_do_by_command_is_in_the_log(tmp_path: Path) -> None:
    set_folder(tmp_path, SHIPPED.read_text())
    (tmp_path / "data" / "manifests" / "logs").mkdir(parents=True)
    assert fleetgen("backfill", "--batches", "2", cwd=tmp_path).returncode == 0
    commands = (
        ("pause", "--reason", "a look"),
        ("pause",),  # changes nothing, and is not told
        ("resume",),
        ("mode", "production"),
        ("config", "use", "small"),
        ("clean", "--yes"),
    )
    for command in commands:
        assert fleetgen(*command, cwd=tmp_path).returncode == 0

    lines = [json.loads(line) for line in fleetgen("logs", "command", cwd=tmp_path).stdout.splitlines()]
    assert [line["event"].partition(" items")[0].rstrip("0123456789") for line in lines] == [
        "Paused by command: a look",
        "Resumed by command",
        "Edited generator.toml by command: production mode, before emulated",
        "Edited generator.toml by command: the preset small",
        "Cleaned by command: ",
    ]
    assert [line["kind"] for line in lines] == ["paused", "resumed", "config", "config", "cleaned"]
    assert {line["logger"] for line in lines} == {"command"}


def test_settings_that_are_taken_over_are_in_the_log(running: RunningSet) -> None:
    text = running.config.read_text()
    running.config.write_text(text + "\n# an edit that changes nothing\n")
    wait_for(
        lambda: any("has taken over the edited configuration" in line["event"] for line in running.log("driver")),
        20,
        "The edit",
    )
    running.config.write_text(text)


def test_a_preset_leaves_where_and_how_the_set_runs(tmp_path: Path) -> None:
    own = '[paths]\ndata = "../mine"\n\n[metrics]\ncompany_port = 12345\n\n[control]\nport = 12346\ntoken_file = "secret"\n'
    text = SHIPPED.read_text()
    kept = "\n".join(part for part in text.split("\n\n") if not part.startswith(("[paths]", "[metrics]", "[control]")))
    file = set_folder(tmp_path, kept + "\n" + own)
    assert fleetgen("config", "check", cwd=tmp_path).returncode == 0

    used = fleetgen("config", "use", "quality-demo", cwd=tmp_path)
    shown = json.loads(fleetgen("config", "show", "--json", cwd=tmp_path).stdout)

    assert used.returncode == 0, used.stderr
    assert "stays as it was" in used.stdout
    assert shown["quality"]["enabled"] is True
    assert shown["paths"]["data"] == "../mine"
    assert shown["metrics"]["company_port"] == 12345
    assert (shown["control"]["port"], shown["control"]["token_file"]) == (12346, "secret")
    assert file.with_name("generator.toml.bak").exists()


def test_reload_comes_back_when_what_it_restarted_answers(running: RunningSet) -> None:
    if not running.metrics("company"):
        pytest.fail("the set does not answer")
    ports = dict(running.ports)
    running.ports["company"] += 1
    running.configure(company_port=str(running.ports["company"]))
    done = running.call("reload")
    assert running.metrics("company")  # at once
    assert "Restarted: company." in done.stdout
    running.ports.update(ports)
    running.configure(company_port=str(ports["company"]))
    watch = Watch()
    running.call("reload")
    assert watch.within(60)


def test_an_offset_that_meets_a_taken_port_never_recommends_itself(tmp_path: Path) -> None:
    set_folder(tmp_path, SHIPPED.read_text())
    with socket.socket() as taken:
        port = next(each for each in free_ports(1))
        taken.bind(("127.0.0.1", port))
        taken.listen()
        refused = fleetgen("up", "--port-offset", str(port - 9101), cwd=tmp_path)
    assert refused.returncode == 75
    assert f"--port-offset {port - 9101 + 100}`" in refused.stderr
