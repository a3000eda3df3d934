"""A folder whose name means something in other programs' languages: nothing of it is expanded, obeyed or cut anywhere."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from fleetgen.domain.records import Stream
from support.configs import fleetgen
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet

NAME = "a%d %(x)s [bold] ü $(id) '<b> *"
"""For supervisord, printf, rich, other encodings, the shell, HTML and glob patterns; brackets are refused by the tables."""

EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"', "companies_per_batch": "5"}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with RunningSet(control=True, pipeline=True, named=NAME.replace("[bold] ", ""), **EVERY_SECOND) as each:
        each.start()
        wait_for(lambda: "Pipeline carried" in each.output and "of events" in each.output, 30, "Batches in gold")
        yield each


def newest(running: RunningSet) -> str:
    return str(running.manifest()["heads"]["events"]["last_batch_id"])


def test_every_command_works_there(running: RunningSet) -> None:
    batch = newest(running)
    for command in (
        ("status",),
        ("status", "--json"),
        ("tables",),
        ("query", "SELECT count(*) FROM bronze.events"),
        ("query", "SELECT count(*) FROM silver.events JOIN gold.batches USING (batch_id)"),
        ("logs", "--lines", "5"),
        ("inspect", "events", batch),
        ("replay", "events", batch),
        ("generate", "companies"),
        ("schema", "events"),
        ("config", "check"),
        ("config", "show"),
        ("mode", "emulated"),
        ("pause",),
        ("verify", "--all", "--repair"),
        ("resume",),
        ("reload",),
    ):
        done = running.call(*command, check=False)
        assert (done.returncode, done.stderr) == (0, ""), (command, done)
        assert done.stdout, command
    assert running.ctl("status").count("RUNNING") == 4
    rows = running.call("query", "SELECT count(*) AS n FROM bronze.companies", "--format", "json").stdout
    assert json.loads(rows)["n"] >= 5


def test_it_is_shown_as_it_is(running: RunningSet) -> None:
    assert f"data in {running.data}\n" in running.call("status").stdout
    assert json.loads(running.call("status", "--json").stdout)["data"] == str(running.data)
    with urlopen(f"{running.api}/health", timeout=5) as answer:
        told = json.load(answer)
    assert told["status"] in ("running", "paused")
    assert {each["state"] for each in told["processes"]} == {"RUNNING"}


def test_commands_that_are_printed_can_be_called_as_they_are(running: RunningSet) -> None:
    lines = running.output.partition("Try, in another terminal:\n")[2].partition("\n\n")[0].splitlines()
    commands = [line.strip().partition("   ")[0].rstrip() for line in lines]
    assert len(commands) == 4
    for command in commands:
        # what a shell makes of it, with the program that is called replaced by one that shows its arguments
        seen = subprocess.run(
            ["sh", "-c", f"show() {{ printf '%s\\n' \"$@\"; }}; show {command.partition(' | ')[0]}"],
            capture_output=True,
        )
        told = seen.stdout.decode()
        assert str(running.folder) in told
        assert "uid=" not in told
    assert (
        f"{running.data}/manifests/logs/driver.jsonl"
        in subprocess.run(
            ["sh", "-c", "ls " + commands[0].partition(" | ")[0].removeprefix("tail -F ")],
            capture_output=True,
            text=True,
        ).stdout.splitlines()
    )


def test_nothing_is_written_beside_it(running: RunningSet) -> None:
    assert [path.name for path in running.folder.parent.iterdir()] == [running.folder.name]
    assert all(running.batch_count(stream) for stream in Stream)
    assert {path.name for path in running.folder.iterdir()} == {"data", "etc", "output", "run"}


def test_the_set_ends_there(running: RunningSet) -> None:
    assert running.call("down").stdout == "The set has stopped.\n"
    assert "Traceback" not in running.output


def test_a_set_without_tables_may_have_any_name(tmp_path: Path) -> None:
    with RunningSet(named=NAME, **EVERY_SECOND) as each:
        each.start()
        wait_for(lambda: each.batch_count("events"), 20, "A batch")
        assert f"data in {each.data}\n" in each.call("status").stdout
        counted = each.call("query", "SELECT count(*) AS n FROM bronze.companies", "--format", "json").stdout
        assert json.loads(counted)["n"] >= 5


def test_the_command_that_init_prints_names_the_file_as_a_shell_reads_it(tmp_path: Path) -> None:
    told = fleetgen("init", NAME, cwd=tmp_path).stdout
    command = next(line for line in told.splitlines() if "fleetgen up" in line)
    assert shlex.split(command) == [*FLEETGEN, "up", "--config", f"{NAME}/etc/generator.toml"]
    told = fleetgen("init", "./-x", cwd=tmp_path).stdout
    assert "--config ./-x/etc/generator.toml" in told
