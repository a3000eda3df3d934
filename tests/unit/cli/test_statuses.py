"""The table of exit statuses in the reference names those that the command line ends with, each once."""

import re
from pathlib import Path

from fleetgen.cli.output import READER_GONE
from fleetgen.errors import FleetgenError
from support.configs import REPOSITORY, fleetgen

REFERENCE = REPOSITORY / "docs" / "reference" / "cli.md"
HEARD = """
import sys
ends = sys.exit
def end(status):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        ends(status)
sys.exit = end
"""
"""What a library does that runs code from a string just when Ctrl-C is pressed, and the command ends."""


def kinds(kind: type[FleetgenError]) -> set[type[FleetgenError]]:
    return {kind}.union(*(kinds(each) for each in kind.__subclasses__()))


def test_the_reference_has_every_status_once() -> None:
    section = REFERENCE.read_text().partition("## Exit statuses")[2].partition("\n## ")[0]
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]

    assert told == sorted({0, READER_GONE} | {each.exit_status for each in kinds(FleetgenError)})


def test_the_status_is_told_although_a_library_heard_of_ctrl_c_in_code_from_a_string(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HEARD)
    ended = fleetgen("status", "--config", "nowhere.toml", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "nowhere.toml" in ended.stderr
    assert ended.returncode == 78
