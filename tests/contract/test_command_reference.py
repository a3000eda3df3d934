"""The reference of the command line names the commands, arguments, options and choices that there are, and no others."""

import re
from collections.abc import Iterator

import click
import pytest

from fleetgen.cli.main import fleetgen
from support.configs import REPOSITORY

REFERENCE = (REPOSITORY / "docs" / "reference" / "cli.md").read_text()
OF_ALL = {"--config", "--help"}
NO_COMMANDS = {"Signals"}
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*")


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        if not below.hidden:
            yield from leaves(below, (*path, name))


COMMANDS = dict(leaves(fleetgen))


def section(name: str) -> str:
    """Return what the reference says of a command, or of a group of them."""
    found = re.search(rf"^### {re.escape(name)}\n(.*?)(?=^##|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found, f"the reference has no section {name}"
    return found[1]


def own_words(path: tuple[str, ...]) -> str:
    """Return how a command is called: what stands between backticks behind its name, and the rows of its table."""
    text = section(path[0])
    called = re.findall(rf"`{' '.join(path)}(?=[ `])[^`]*`", text)
    rows = [line.split("| ")[1] for line in text.splitlines() if line.startswith("| `-")]
    return "\n".join(called + (rows if len(path) == 1 else []))


def test_every_command_has_a_section_and_every_section_is_one_of_a_command() -> None:
    described = set(re.findall(r"^### (\S+)$", REFERENCE, re.MULTILINE)) - NO_COMMANDS
    assert described == {path[0] for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_reference_has_the_options_of_a_command_and_no_others(path: tuple[str, ...]) -> None:
    options = [each for each in COMMANDS[path].params if isinstance(each, click.Option) and not each.hidden]
    names = {name for each in options for name in each.opts if name.startswith("--")} - OF_ALL
    assert set(OPTION.findall(own_words(path))) - OF_ALL == names


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_reference_has_every_choice(path: tuple[str, ...]) -> None:
    text = section(path[0])
    choices = {
        str(choice)
        for each in COMMANDS[path].params
        if isinstance(each.type, click.Choice)
        for choice in each.type.choices
    }
    assert not {choice for choice in choices if not re.search(rf"\b{re.escape(choice)}\b", text)}


def test_no_option_is_named_that_no_command_has() -> None:
    known = {name for command in COMMANDS.values() for each in command.params for name in each.opts} | OF_ALL
    assert set(OPTION.findall(REFERENCE)) <= known
