"""Owns how the command line speaks: one message for a fault, its exit status, and the options that commands share."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fleetgen.cli.calling import pasteable
from fleetgen.domain.records import instant
from fleetgen.errors import EndedByHand, FleetgenError, UsageError
from fleetgen.storage.files import remedy_of
from fleetgen.telemetry.colours import coloured

if TYPE_CHECKING:
    from fleetgen.config.loading import LoadedConfig

READER_GONE = 141
"""The status of a program whose reader has gone, as shells tell it of one that SIGPIPE has ended."""

DEFAULT_CONFIG = Path("etc/generator.toml")


def with_config(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--config PATH``; it gets the path as ``config_file``."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        default=default_config,
        show_default="$FLEETGEN_CONFIG, then etc/generator.toml",
        help="The configuration file.",
    )(command)


def default_config() -> Path:
    """Return the configuration file that is meant where none is named."""
    named = os.environ.get("FLEETGEN_CONFIG")
    return Path(named) if named else DEFAULT_CONFIG


def load_in_use(config_file: Path) -> "LoadedConfig":
    """Return the configuration; while it is invalid, the last good one, with a warning: a running set uses that."""
    return load_and_fault(config_file)[0]


def load_and_fault(config_file: Path) -> tuple["LoadedConfig", str | None]:
    """Return the same, and what is wrong with the file as it is now."""
    from fleetgen.config.watching import load_or_last_good_beside  # help needs no configuration

    loaded, fault = load_or_last_good_beside(config_file)
    if fault is not None:
        warning = pasteable(f"the last valid configuration is used. {fault}")
        click.echo(click.style("fleetgen: ", fg="yellow") + warning, err=True, color=coloured(sys.stderr))
    return loaded, fault


def moment(option: str, text: str | None) -> int | None:
    """Return the instant that an option names, if it is there; raise UsageError for a text that is no time."""
    if text is None:
        return None
    try:
        found = instant(text)
    except ValueError as fault:
        raise UsageError(f"{option} {text!r} is no time with a zone: write it as 2026-01-01T00:00:00Z.") from fault
    if found < 0:
        raise UsageError(f"{option} {text!r} is too early: batches can begin in the years 1970 to 9999.")
    return found


def guarded(main: Callable[..., Any]) -> Callable[..., Any]:
    """Turn faults into one message on standard error and an exit status."""

    @functools.wraps(main)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return main(*arguments, **options)
        except FleetgenError as fault:
            if fault.is_logged and _go_to_one_place():
                sys.exit(fault.exit_status)
            fail(str(fault), fault.exit_status)
        except KeyboardInterrupt:
            fail("Interrupted: call the same command again.", EndedByHand.exit_status)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(READER_GONE)
        except OSError as fault:
            if fault.errno is None:
                raise
            place = fault.filename or "the output"
            fail(f"Cannot use {place}: {fault.strerror}. {remedy_of(fault)}".rstrip(), 73)

    return call


def _go_to_one_place() -> bool:
    """Whether who reads standard output, where a process logs, reads standard error as well."""
    try:
        return os.path.samestat(os.fstat(1), os.fstat(2))
    except OSError:
        return False


def say(message: str) -> None:
    """Say what was done; the commands in it are as they are called from here."""
    click.echo(pasteable(message), color=coloured(sys.stdout))


def say_fault(message: str) -> None:
    """Say what is wrong, on standard error."""
    click.echo(click.style("fleetgen: ", fg="red") + pasteable(message), err=True, color=coloured(sys.stderr))


def fail(message: str, status: int) -> NoReturn:
    """Say what is wrong and end."""
    say_fault(message)
    sys.exit(status)
