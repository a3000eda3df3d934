"""Ctrl-C on a real terminal ends each long command at once, with status 130 and one sentence; the same command goes on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleetgen.config.presets import preset_text
from support.configs import SHIPPED, fleetgen, set_folder
from support.patience import Watch, wait_for
from support.terminal import CTRL_C, Terminal

LONG_QUERY = "SELECT count(*) FROM range(3000000) a, range(3000000) b WHERE a.range % 7 = b.range % 13"
AT_ONCE_SECONDS = 5.0
"""Far less than the commands take, and more than a busy machine needs."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    set_folder(tmp_path, SHIPPED.read_text())
    return tmp_path


def interrupted(terminal: Terminal, shown: str, wait: float = 0.0) -> str:
    """Press Ctrl-C once something is shown; return the last line of what a command that ends at once has said."""
    terminal.wait_for(shown)
    time.sleep(wait)
    watch = Watch()
    terminal.press(CTRL_C)
    assert terminal.end() == 130, terminal.shown
    assert watch.within(AT_ONCE_SECONDS)
    lines = [line for line in terminal.shown.splitlines() if line.strip()]
    assert [line for line in lines if "Abort" in line or "Traceback" in line] == []
    assert sum("Interrupted" in line for line in lines) == 1
    return lines[-1]


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_long_query_shows_its_progress_and_ends_at_once(folder: Path, form: str) -> None:
    with Terminal("query", LONG_QUERY, "--format", form, cwd=folder) as terminal:
        told = interrupted(terminal, "Asking")
    assert told.endswith("Interrupted: nothing was changed, and the same command asks again.")


def test_a_query_that_writes_into_a_file_keeps_the_bar_out_of_it(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "answer.csv"
    with Terminal("query", LONG_QUERY, cwd=folder, output=output) as terminal:
        interrupted(terminal, "Asking")
    assert output.read_bytes() == b"count_star()\n" or output.read_bytes() == b""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_backfill_ends_at_once_and_goes_on(folder: Path, jobs: str) -> None:
    command = ("backfill", "--from", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z", "--jobs", jobs)
    with Terminal(*command, cwd=folder) as terminal:
        told = interrupted(terminal, "Backfilling", 2.0)
    assert told.endswith("batches are made and kept; the same command goes on.")

    shorter = ("2026-01-01T02:00:00Z" if part == "2026-01-02T00:00:00Z" else part for part in command)
    assert fleetgen(*shorter, cwd=folder).returncode == 0
    assert fleetgen("verify", cwd=folder).returncode == 0


def test_a_verify_and_a_carrying_end_at_once(folder: Path) -> None:
    assert fleetgen("backfill", "--batches", "2000", "--jobs", "2", cwd=folder).returncode == 0

    for jobs in ("1", "2"):
        with Terminal("verify", "--all", "--jobs", jobs, cwd=folder) as terminal:
            told = interrupted(terminal, "Checking")
        assert "batches are checked" in told

    with Terminal("run", "pipeline", "--once", cwd=folder) as terminal:
        told = interrupted(terminal, "Carrying")
    assert told.endswith("batches are carried and kept; the same command goes on.")

    again = fleetgen("run", "pipeline", "--once", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "the tables in" in again.stderr.splitlines()[-1]
    nothing = fleetgen("run", "pipeline", "--once", cwd=folder)
    assert (nothing.returncode, nothing.stderr.splitlines()[-1][:16]) == (0, "Nothing to carry")


def test_a_score_and_a_generation_end_at_once(tmp_path: Path) -> None:
    set_folder(tmp_path, preset_text("quality-demo"))
    assert fleetgen("backfill", "--batches", "1000", "--jobs", "2", cwd=tmp_path).returncode == 0
    batch = max(path.name for path in (tmp_path / "data" / "raw" / "events").iterdir())
    rejected = {"stream": "events", "batch_id": batch, "line": 1}
    (tmp_path / "rejected.jsonl").write_text(json.dumps(rejected) + "\n")

    with Terminal("score", "--quarantine", "rejected.jsonl", cwd=tmp_path) as terminal:
        told = interrupted(terminal, "Scoring")
    assert told.endswith("nothing was changed, and the same command scores from the beginning.")

    output = tmp_path / "events.jsonl"
    with Terminal("generate", "events", "--count", "20000000", "--output", output.name, cwd=tmp_path) as terminal:
        wait_for(lambda: output.exists() and output.stat().st_size, 30, "A beginning")
        told = interrupted(terminal, "")
    assert told.endswith("events.jsonl has a part of the records; the same command begins anew.")


def test_a_backfill_with_nothing_to_do_says_so(folder: Path) -> None:
    command = ("backfill", "--from", "2026-01-01T00:00:00Z", "--until", "2026-01-01T00:10:00Z")
    assert fleetgen(*command, cwd=folder).returncode == 0
    with Terminal(*command, cwd=folder) as terminal:
        assert terminal.end() == 0
        assert "Nothing to make: the dataset" in terminal.shown
        assert "0/0" not in terminal.shown


def test_a_reader_that_has_gone_is_no_difference_that_was_found(folder: Path) -> None:
    query = [sys.executable, "-m", "fleetgen", "query", "FROM range(2000000)", "--format", "csv"]
    reader, writer = os.pipe()
    asking = subprocess.Popen(query, cwd=folder, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    _, said = asking.communicate(timeout=60)
    assert (asking.returncode, said) == (141, b"")
