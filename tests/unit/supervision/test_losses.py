"""Pieces of log that were lost: they are counted, and said once when it is over; what can be written is."""

import subprocess
import sys
from pathlib import Path

import pytest
from supervisor import loggers

from fleetgen.supervision import plugin
from fleetgen.supervision.losses import Losses

FULL = Path("/dev/full")


def lose(losses: Losses) -> None:
    handler = loggers.FileHandler(str(FULL))
    handler.handleError = losses.note
    handler.emit(loggers.LogRecord(20, "said"))


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_losses_are_told_once_when_no_more_come() -> None:
    losses, told = Losses(), list[str]()
    lose(losses)
    lose(losses)
    losses.tick(told.append)
    lose(losses)
    losses.tick(told.append)
    assert told == []
    losses.tick(told.append)
    losses.tick(told.append)
    assert told == ["3 pieces of log could not be written (No space left on device)"]


_SUPERVISORD = """
import sys
from supervisor import loggers
from fleetgen.supervision.losses import LOSSES, survive_losses
survive_losses()
handler = loggers.RotatingFileHandler(sys.argv[1], maxBytes=10, backupCount=1)
for number in range(4):
    handler.emit(loggers.LogRecord(20, f"line {number} of the log\\n"))
LOSSES.tick(print)
LOSSES.tick(print)
"""


def test_a_file_that_cannot_be_rotated_is_written_on(tmp_path: Path) -> None:
    log = tmp_path / "driver.jsonl"
    log.with_name("driver.jsonl.1").mkdir()
    told = subprocess.run(
        [sys.executable, "-c", _SUPERVISORD, str(log)], capture_output=True, text=True, check=True
    ).stdout
    assert log.read_text().count("of the log") == 4
    assert told.count("could not be written") == 1


def test_the_plugin_bears_a_closed_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    descriptor, is_terminal = plugin._terminal()
    assert descriptor > 2
    assert not is_terminal
