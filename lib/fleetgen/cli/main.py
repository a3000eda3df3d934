"""Owns the list of commands. Each is imported when it is called, so that a process loads only what it runs."""

import importlib
import os

import click

from fleetgen import __version__
from fleetgen.cli.output import guarded
from fleetgen.cli.surroundings import settle

# A generator multiplies no matrices and uses no pydantic plugin: idle threads and the search for plugins cost memory.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_COMMANDS = {
    "up": "process_set",
    "down": "process_set",
    "status": "process_set",
    "reload": "process_set",
    "ctl": "process_set",
    "run": "running",
    "mode": "configuration",
    "config": "configuration",
    "init": "configuration",
    "pause": "lifecycle",
    "resume": "lifecycle",
    "clean": "lifecycle",
    "logs": "logs",
    "metrics": "metrics",
    "query": "tables",
    "tables": "tables",
    "generate": "data",
    "replay": "data",
    "verify": "data",
    "inspect": "inspecting",
    "score": "scoring",
    "backfill": "history",
    "schema": "data",
}


class _Commands(click.Group):
    """A group whose commands live in modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"fleetgen.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleetgen")
def fleetgen() -> None:
    """A living, reproducible, deliberately dirty source for medallion pipelines."""


@guarded
def main() -> None:
    """Run the command line."""
    settle()
    fleetgen(prog_name="fleetgen")
