"""What commands load: as much as they run, and help nearly nothing."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from fleetgen.cli.examples import EXAMPLES
from fleetgen.cli.main import _COMMANDS
from support.configs import SHIPPED, set_folder

HEAVY = {
    *("pydantic", "numpy", "rich", "structlog", "prometheus_client", "supervisor", "tomlkit"),
    *("duckdb", "deltalake", "pyarrow", "fastapi", "uvicorn", "nicegui"),
}
"""Packages that take long to import."""

READING = frozenset({"duckdb", "deltalake", "rich"})
"""What reads the tables: neither numpy nor Arrow, which take longer to import than all of these."""

SET = frozenset({"pydantic", "supervisor"})
MAKING = frozenset({"pydantic", "numpy", "rich"})
EDITING = frozenset({"pydantic", "tomlkit"})
ASKING = frozenset({"rich"})
HELP: dict[str, frozenset[str]] = {
    **dict.fromkeys(("up", "down", "reload", "ctl", "pause", "resume", "clean", "export"), SET),
    **dict.fromkeys(("generate", "replay", "verify", "inspect", "backfill", "schema", "score"), MAKING),
    **dict.fromkeys(("mode", "config", "init"), EDITING),
    **dict.fromkeys(("query", "tables"), ASKING),
    "status": SET | ASKING,
    "doctor": SET,
    "run": frozenset({"pydantic"}),
    **dict.fromkeys(("completion", "help"), frozenset()),
    "logs": frozenset({"pydantic", "rich", "structlog"}),
    "metrics": frozenset({"pydantic", "rich", "prometheus_client"}),
}
"""What each command's help may load. Of what it runs later it should load little: whoever asks waits."""

LONGEST_SUMMARY = 66
"""What fits beside the longest name within 80 columns."""


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    """Return which heavy packages a call of fleetgen has loaded when it ends."""
    program = f"""
import atexit, sys
from fleetgen.cli.examples import EXAMPLES
from fleetgen.cli.main import main
atexit.register(lambda: print("loaded", *(name for name in {sorted(HEAVY)!r} if sys.modules.get(name)), file=sys.stderr))
sys.argv = ["fleetgen", *{arguments!r}]
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    return set(ended.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_list_of_commands_loads_nothing_heavy(tmp_path: Path, option: str) -> None:
    assert loaded_by(tmp_path, option) == set()


@pytest.mark.parametrize("command", list(_COMMANDS))
def test_help_of_a_command_loads_little(tmp_path: Path, command: str) -> None:
    assert loaded_by(tmp_path, command, "--help") <= HELP[command]


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (("status",), SET | ASKING),
        (("down",), SET),
        (("mode",), {"pydantic", "tomlkit"}),
        (("pause",), SET),
        (("config", "check"), EDITING),
        (("config", "presets"), EDITING),
        (("tables",), frozenset({"pydantic"}) | READING),
        (("query", "SELECT 1"), frozenset({"pydantic"}) | READING),
    ],
)
def test_a_cheap_command_loads_only_what_it_runs(
    tmp_path: Path, arguments: tuple[str, ...], allowed: frozenset[str]
) -> None:
    set_folder(tmp_path, SHIPPED.read_text())

    assert loaded_by(tmp_path, *arguments) <= allowed


@pytest.mark.parametrize("command", list(_COMMANDS))
def test_the_list_says_of_each_command_what_its_help_begins_with(command: str) -> None:
    listed = _COMMANDS[command]
    whole = getattr(importlib.import_module(f"fleetgen.cli.{listed.module}"), command)
    first = whole.get_short_help_str(limit=1000)

    assert len(listed.summary) <= LONGEST_SUMMARY
    assert listed.summary.endswith(".")
    assert EXAMPLES[command]
    assert listed.summary == first or len(first) > LONGEST_SUMMARY or first.rstrip(".") in (whole.help or "")
