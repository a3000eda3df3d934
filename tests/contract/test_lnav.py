"""The log format for lnav in etc/lnav: lnav itself reads with it what the processes write."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetgen.telemetry.logs import start_logging

ROOT = Path(__file__).parents[2]
FORMAT = ROOT / "etc/lnav/fleetgen.json"

pytestmark = pytest.mark.skipif(shutil.which("lnav") is None, reason="lnav is not installed")


class Lnav:
    """lnav in a home of its own, with the format installed as the how-to says."""

    def __init__(self, home: Path) -> None:
        self._home = home
        assert "installed" in self.run("-i", str(FORMAT))

    def run(self, *arguments: str) -> str:
        """Return what it prints; fail if it complains of anything."""
        surroundings = {**os.environ, "HOME": str(self._home), "TZ": "UTC", "TERM": "xterm"}
        surroundings.pop("XDG_CONFIG_HOME", None)
        done = subprocess.run(
            ["lnav", "-W", *arguments], capture_output=True, text=True, timeout=60, env=surroundings, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "error" not in done.stderr, done.stderr
        assert "warning" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def rows(self, columns: str, *files: Path) -> list[dict[str, Any]]:
        """Return these columns of every line, oldest first; SQLite makes the JSON, for lnav's own has no numbers."""
        pairs = ", ".join(f"'{name}', {name}" for name in columns.split())
        command = f";SELECT json_object({pairs}) AS line FROM fleetgen_log"
        answer = self.run("-n", "-c", command, "-c", ":write-json-to -", *map(str, files))
        return [row["line"] for row in json.loads(answer)]

    def count(self, file: Path) -> int:
        """Return how many lines of a file it knows by this format."""
        return int(self.run("-n", "-c", ";SELECT count(*) FROM fleetgen_log", str(file)).split()[-1])


@pytest.fixture
def lnav(tmp_path: Path) -> Lnav:
    home = tmp_path / "home"
    home.mkdir()
    return Lnav(home)


@pytest.fixture
def driver_log(tmp_path: Path) -> Path:
    """Lines of a driver, as its process writes them: one of each level, and a batch."""
    path = tmp_path / "driver.jsonl"
    with path.open("w") as stream:
        log = start_logging("driver", stream)
        log.info("Starting driver generator in emulated mode", kind="starting")
        log.info(
            "Driver batch 5: 13 events generated",
            kind="batch_published",
            stream="events",
            mode="emulated",
            segment=1,
            batch_id="20261121T090500Z",
            batch_number=5,
            record_count=13,
            target_count=None,
            start_lag_seconds=0.000693,
        )
        log.warning("Driver gap: 9 intervals left out (downtime)", kind="gap", stream="events", reason="downtime")
        log.error("The configuration is invalid.\n  line 2: mod is no known key", kind="config")
        try:
            raise ValueError("a surprise")
        except ValueError as fault:
            log.error("Driver could not go on; it tries again in 2 s", kind="error", exc_info=fault)
    return path


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_columns_are_those_of_the_lines(lnav: Lnav, driver_log: Path) -> None:
    alike = ("logger", "kind", "stream", "reason", "batch_id", "batch_number", "record_count", "start_lag_seconds")

    rows = lnav.rows(" ".join(("log_level", "log_time", *alike)), driver_log)

    lines = written(driver_log)
    assert len(rows) == len(lines) == 5
    for row, line in zip(rows, lines, strict=True):
        assert row.pop("log_level") == line["level"]
        assert row.pop("log_time") == line["timestamp"][:23].replace("T", " ")
        assert row == {name: line.get(name) for name in alike}


def test_lines_read_as_time_process_level_and_sentence(lnav: Lnav, driver_log: Path) -> None:
    shown = lnav.run("-n", str(driver_log)).splitlines()

    time = written(driver_log)[1]["timestamp"][11:23]
    assert shown[1] == f"{time}  driver    info     Driver batch 5: 13 events generated"
    assert "  exception: " in "\n".join(shown)


def test_files_that_were_rotated_are_known_and_others_are_not(lnav: Lnav, driver_log: Path, tmp_path: Path) -> None:
    old = driver_log.rename(tmp_path / "control.jsonl.5")
    assert lnav.count(old) == 5

    other = old.rename(tmp_path / "mydriver.jsonl")
    assert lnav.count(other) == 0


def test_the_formats_own_samples_are_read_as_they_say(lnav: Lnav, tmp_path: Path) -> None:
    samples = json.loads(FORMAT.read_text())["fleetgen_log"]["sample"]
    path = tmp_path / "company.jsonl"
    path.write_text("".join(f"{sample['line']}\n" for sample in samples))

    rows = lnav.rows("log_level", path)

    assert [row["log_level"] for row in rows] == [sample["level"] for sample in samples]
    assert {row["log_level"] for row in rows} == {"info", "warning", "error"}


def test_every_field_of_the_reference_is_known_to_the_format() -> None:
    reference = (ROOT / "docs/reference/logs.md").read_text()
    known = json.loads(FORMAT.read_text())["fleetgen_log"]["value"]
    assert [name for name in known if f"`{name}`" not in reference] == []
