"""Log lines: JSON that programs read and sentences that people do, whatever a message has in it."""

import io
import json
from typing import Any

import pytest
import structlog

from fleetgen.telemetry.logs import sentence, start_logging

COLOURED = "\x1b[31mGeneric LocalFileSystem error\x1b[0m: \x1b[1;33mlink\x1b[0m"


@pytest.fixture
def logged() -> io.StringIO:
    return io.StringIO()


def line_of(logged: io.StringIO) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(logged.getvalue())
    return values


@pytest.fixture(autouse=True)
def fresh_logging() -> Any:
    yield
    structlog.reset_defaults()


def test_a_line_begins_with_what_every_line_has(logged: io.StringIO) -> None:
    start_logging("driver", logged).info("ready", kind="starting")
    line = line_of(logged)
    assert list(line) == ["timestamp", "level", "logger", "event", "kind"]
    assert (line["level"], line["logger"], line["event"]) == ("info", "driver", "ready")
    assert line["timestamp"].endswith("Z")


def test_codes_for_colours_that_a_library_puts_into_its_messages_are_left_out(logged: io.StringIO) -> None:
    try:
        raise OSError(COLOURED)
    except OSError as fault:
        start_logging("pipeline", logged).error(f"Pipeline could not go on: {COLOURED}", exc_info=fault)
    line = line_of(logged)
    assert line["event"] == "Pipeline could not go on: Generic LocalFileSystem error: link"
    assert line["exception"][-1]["exc_value"] == "Generic LocalFileSystem error: link"
    assert "\\u001b" not in logged.getvalue()


@pytest.mark.parametrize("control", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x00", "\x9b31m"])
def test_a_terminal_obeys_nothing_that_a_message_has_in_it(control: str) -> None:
    shown = sentence({"event": f"before{control}after", "logger": "driver"}, colour=False)
    assert control[0] not in shown
    assert shown.endswith("after")
    assert "before\\x" in shown


def test_a_fault_of_several_lines_keeps_them() -> None:
    assert sentence({"event": "one\n\ttwo"}, colour=False).endswith("one\n\ttwo")
