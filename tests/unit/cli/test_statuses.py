"""The table of exit statuses in the reference names those that the command line ends with, each once."""

import re

from fleetgen.cli.output import READER_GONE
from fleetgen.errors import FleetgenError
from support.configs import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference" / "cli.md"


def kinds(kind: type[FleetgenError]) -> set[type[FleetgenError]]:
    return {kind}.union(*(kinds(each) for each in kind.__subclasses__()))


def test_the_reference_has_every_status_once() -> None:
    section = REFERENCE.read_text().partition("## Exit statuses")[2].partition("\n## ")[0]
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]

    assert told == sorted({0, READER_GONE} | {each.exit_status for each in kinds(FleetgenError)})
