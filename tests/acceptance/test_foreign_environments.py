"""Variables and descriptors that people, shells and other tools leave to a process: taken neither as orders nor as ours."""

import os
import subprocess
from pathlib import Path

import pytest

from support.configs import fleetgen
from support.sets import FLEETGEN

COMMANDS = (("--help",), ("status",), ("query", "SELECT 1"), ("verify",))

ODD = {
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    "a prompt afterwards": {"PYTHONINSPECT": "1"},
    "ASCII alone": {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    "no locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    assert fleetgen("init", folder, cwd=folder).returncode == 0
    assert fleetgen("backfill", "--batches", "2", "--jobs", "1", cwd=folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def usual(place: Path) -> dict[tuple[str, ...], tuple[int, str, str]]:
    """What each command says in a plain environment."""
    return {command: said(fleetgen(*command, cwd=place)) for command in COMMANDS}


def said(done: "subprocess.CompletedProcess[str]") -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ODD)
def test_every_command_says_the_same(
    place: Path, usual: dict[tuple[str, ...], tuple[int, str, str]], name: str
) -> None:
    for command in COMMANDS:
        status, out, err = said(fleetgen(*command, cwd=place, **ODD[name]))
        expected = tuple(text.encode("ascii", "backslashreplace").decode() for text in usual[command][1:])
        assert status == usual[command][0], (command, err)
        assert (_plain(out), _plain(err)) == expected


def _plain(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_closed_descriptors_harm_no_command(
    place: Path, usual: dict[tuple[str, ...], tuple[int, str, str]], closed: tuple[int, ...]
) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    for command in COMMANDS:
        done = subprocess.run([*FLEETGEN, *command], cwd=place, preexec_fn=close, capture_output=True, timeout=60)
        assert done.returncode == usual[command][0], (command, done.stderr)
        assert b"Traceback" not in done.stderr
