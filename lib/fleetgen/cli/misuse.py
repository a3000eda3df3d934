"""Owns what is said of a command line that does not fit: one line, with what was probably meant and where help is."""

from collections.abc import Iterable
from difflib import get_close_matches

import click


def told(fault: click.ClickException, fleetgen: click.Group, commands: list[str]) -> str:
    """Return the message about a misuse of the command line."""
    where = fault.ctx if isinstance(fault, click.UsageError) else None
    text = _remedied(fault, where, fleetgen, commands)
    if where is None:
        return text
    path = " ".join(where.command_path.split()[1:])
    text = " ".join(text.split())
    text = text if text.endswith((".", "?", "!")) else f"{text}."
    return f"{text} See `fleetgen {f'{path} --help' if path else 'help'}`."


def _remedied(
    fault: click.ClickException, where: click.Context | None, fleetgen: click.Group, commands: list[str]
) -> str:
    text = fault.format_message().partition("(Did you mean")[0].partition(" Did you mean")[0].strip()
    if isinstance(fault, click.NoSuchOption) and where is not None:
        return text + _option_remedy(fault.option_name, where, fleetgen)
    if where is not None and isinstance(where.command, click.Group) and text.startswith("No such command"):
        asked = text.partition("'")[2].partition("'")[0]
        known = commands if where.command is fleetgen else where.command.list_commands(where)
        return text + _meant(asked, known)
    return text


def _option_remedy(option: str, where: click.Context, fleetgen: click.Group) -> str:
    """Say what an option may have been meant to be, or that it goes behind the command."""
    if where.command is fleetgen or isinstance(where.command, click.Group):
        if option == "--config":
            return " It goes behind the command, as in `fleetgen status`."
        if option not in ("--version", "--help"):
            return " Options of a command go behind it."
    elif option in ("--version", "-V"):
        return " It stands alone: `fleetgen --version`."
    known = [name for parameter in where.command.get_params(where) for name in parameter.opts if name.startswith("--")]
    return _meant(option, known)


def _meant(asked: str, known: Iterable[str]) -> str:
    near = get_close_matches(asked, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""
