"""What is shown fits terminals of any width and kind: colours only where they are wanted, no cell cut."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.configs import SHIPPED, fleetgen, set_folder
from support.terminal import Terminal

CONTROLS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    set_folder(tmp_path, SHIPPED.read_text())
    assert fleetgen("backfill", "--batches", "3", cwd=tmp_path).returncode == 0
    return tmp_path


def shown(folder: Path, *command: str, columns: int = 80, variables: Mapping[str, str] | None = None) -> str:
    with Terminal(*command, cwd=folder, columns=columns, variables=variables) as terminal:
        terminal.end()
        return terminal.raw


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_fits_and_tables_keep_their_cells(folder: Path, columns: int, terminal: str) -> None:
    help_lines = shown(folder, "--help", columns=columns).splitlines()
    assert max(map(len, help_lines)) <= columns
    assert "status" in "".join(help_lines)

    long_name = "a-consumer-with-a-name-that-makes-the-row-longer-than-most-terminals-are-wide"
    wide = shown(folder, "query", f"SELECT 1 AS \"{long_name}\", 'not cut' AS words", variables={"TERM": terminal})
    assert "not cut" in wide
    assert long_name in wide

    status = CONTROLS.sub("", shown(folder, "status", columns=columns, variables={"TERM": terminal}))
    batch = max(path.name for path in (folder / "data" / "raw" / "events").iterdir())
    assert status.startswith("stopped, emulated mode; data in ")
    assert re.search(rf"events +3 +[\d,]+  {batch}  ", status)


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
    ids=str,
)
def test_colours_are_only_where_they_are_wanted(folder: Path, variables: dict[str, str], coloured: bool) -> None:
    for command in (("status",), ("query", "SELECT 1 AS one"), ("nonsense",)):
        raw = shown(folder, *command, variables=variables)
        found = bool(CONTROLS.search(raw))
        assert found is coloured, (command, raw)


def test_a_pipe_gets_colours_only_by_force(folder: Path) -> None:
    assert "\x1b" not in fleetgen("status", cwd=folder).stdout
    assert "\x1b" in fleetgen("status", cwd=folder, FORCE_COLOR="1").stdout


def test_inspect_cuts_nothing_in_a_pipe(folder: Path) -> None:
    batch = max(path.name for path in (folder / "data" / "raw" / "events").iterdir())
    answer = fleetgen("inspect", "events", batch, cwd=folder, COLUMNS="40").stdout
    first = (folder / "data" / "raw" / "events" / batch / "events.jsonl").read_text().splitlines()[0]
    assert first in answer.splitlines()


def test_a_question_is_read_from_standard_input_and_a_fault_shows_its_place(folder: Path) -> None:
    with Terminal("query", "-", "--json", cwd=folder) as terminal:
        terminal.press(b"SELECT 41 + 1 AS answer\n\x04")
        assert terminal.end() == 0
        assert '{"answer":42}' in terminal.shown
    answer = fleetgen("query", "SELECT 1,\n  2 FORM x y", cwd=folder)
    assert answer.returncode == 2
    assert "LINE 2:" in answer.stderr
    assert answer.stderr.rstrip().endswith("^")
