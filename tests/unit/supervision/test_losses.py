"""Pieces of log that were lost: they are counted, and said once when it is over."""

import pytest
from supervisor import loggers

from fleetgen.supervision import plugin
from fleetgen.supervision.losses import Losses


class FullDisk:
    def write(self, text: str) -> None:
        raise OSError(28, "No space left on device")


def lose(losses: Losses) -> None:
    handler = loggers.Handler(FullDisk())
    handler.handleError = losses.note
    handler.emit(loggers.LogRecord(20, "said"))


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


def test_the_plugin_bears_a_closed_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    descriptor, is_terminal = plugin._terminal()
    assert descriptor > 2
    assert not is_terminal
