"""Owns the list of commands. Each is imported when it is called, so that a process loads only what it runs."""

import importlib
import os
from dataclasses import dataclass

import click

from fleetgen import __version__
from fleetgen.cli.output import guarded
from fleetgen.cli.surroundings import settle

# A generator multiplies no matrices and uses no pydantic plugin: idle threads and the search for plugins cost memory.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# Arrow's own allocator keeps what it has freed for itself.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


@dataclass(frozen=True, slots=True)
class _Listed:
    """A command as the list shows it, without importing it."""

    module: str
    summary: str
    """What it does, in one line; the first sentence of its help where that is short enough."""


_COMMANDS = {
    "up": _Listed("process_set", "Start the set in the foreground; Ctrl-C stops it."),
    "down": _Listed("process_set", "Stop the set and wait until it has ended."),
    "status": _Listed("status", "Show the processes and where each stream stands."),
    "reload": _Listed("process_set", "Bring changed ports, addresses, token or paths.data into force."),
    "ctl": _Listed("process_set", "Call supervisorctl with the right file."),
    "export": _Listed("exporting", "Write the set in the form that another program takes."),
    "run": _Listed("running", "Run one process in the foreground; what supervisord starts."),
    "mode": _Listed("configuration", "Show the mode, or set it by editing that one line."),
    "config": _Listed("configuration", "Check, show and choose the configuration."),
    "init": _Listed("configuration", "Make DIRECTORY a place for a set of its own."),
    "pause": _Listed("lifecycle", "Publish nothing until `resume`; survives restarts."),
    "resume": _Listed("lifecycle", "Go on with the next interval."),
    "clean": _Listed("lifecycle", "Delete the whole dataset; logs stay unless asked."),
    "logs": _Listed("logs", "Show the log of all processes, or of some, merged by time."),
    "metrics": _Listed("metrics", "List what the running processes export to Prometheus."),
    "query": _Listed("tables", "Ask in SQL over bronze, silver, quarantine and gold."),
    "tables": _Listed("tables", "List the pipeline's tables with their rows, files and sizes."),
    "generate": _Listed("data", "Make one batch by hand, beside the dataset."),
    "replay": _Listed("data", "Make a published batch again and print it, byte for byte."),
    "verify": _Listed("verifying", "Make batches again and compare them with what is on disk."),
    "score": _Listed("scoring", "Score a pipeline: precision and recall of what it quarantined."),
    "inspect": _Listed("inspecting", "Show a published batch, with what was injected into it."),
    "backfill": _Listed("history", "Make history at full speed, with the bytes of a running set."),
    "schema": _Listed("data", "Print the schema of a stream's records."),
}


class _Commands(click.Group):
    """A group whose commands live in modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"fleetgen.cli.{_COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the summaries: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.summary) for name, listed in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleetgen")
def fleetgen() -> None:
    """A living, reproducible, deliberately dirty source for medallion pipelines."""


@guarded
def main() -> None:
    """Run the command line."""
    settle()
    fleetgen(prog_name="fleetgen")
