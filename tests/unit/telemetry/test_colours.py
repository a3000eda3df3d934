"""One place decides whether output has colours."""

import io

import pytest

from fleetgen.telemetry.colours import coloured, is_dumb
from fleetgen.telemetry.logs import sentence


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "on_screen", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_who_gets_colours(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], on_screen: bool, in_pipe: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (coloured(Screen()), coloured(io.StringIO())) == (on_screen, in_pipe)
    assert is_dumb() == (variables.get("TERM") == "dumb")


def test_no_process_is_named_in_white_that_a_white_ground_hides() -> None:
    for process in ("company", "driver", "pipeline", "control", "supervisor", "command"):
        assert "\x1b[37m" not in sentence({"logger": process, "event": "told"}, colour=True)
