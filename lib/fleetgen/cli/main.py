"""Owns the list of commands. Each is imported when it is called, so that a process loads only what it runs."""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import click

from fleetgen import __version__
from fleetgen.cli.examples import with_examples
from fleetgen.cli.grouping import grouped
from fleetgen.cli.misuse import told
from fleetgen.cli.output import fail, guarded
from fleetgen.cli.surroundings import settle

# A generator multiplies no matrices and uses no pydantic plugin: idle threads and the search for plugins cost memory.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# Arrow's own allocator keeps what it has freed for itself.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

_COMPLETION = "_FLEETGEN_COMPLETE"
"""The variable by which a shell asks for completions."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A command as the list shows it, without importing it."""

    module: str
    summary: str
    """What it does, in one line; the first sentence of its help where that is short enough."""


_COMMANDS = {
    "up": _Listed("process_set", "Start the set in the foreground; Ctrl-C stops it."),
    "down": _Listed("process_set", "Stop the set and wait until it has ended."),
    "status": _Listed("status", "Show how the set is, its processes and where each stream stands."),
    "reload": _Listed("process_set", "Bring changed ports, addresses, token or paths.data into force."),
    "ctl": _Listed("process_set", "Call supervisorctl with the right file."),
    "export": _Listed("exporting", "Write the set in the form that another program takes."),
    "run": _Listed("running", "Run one process in the foreground; what supervisord starts."),
    "mode": _Listed("configuration", "Show the mode, or set it by editing that one line."),
    "config": _Listed("configuration", "Check, show and choose the configuration."),
    "init": _Listed("initialising", "Make DIRECTORY a place for a set of its own."),
    "doctor": _Listed("doctor", "Look whether this machine has what the set needs."),
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
    "completion": _Listed("completing", "Print what lets a shell complete commands, streams and batches."),
    "help": _Listed("helping", "Show the help of a command."),
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
        return with_examples(cmd_name, command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the summaries: help imports no command."""
        widest = max(map(len, _COMMANDS))
        for title, names in grouped(_COMMANDS):
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), _COMMANDS[name].summary) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the commands, and options, that begin like this; help imports no command, and neither does this."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=listed.summary)
            for name, listed in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="fleetgen")
def fleetgen() -> None:
    """A living, reproducible, deliberately dirty source for medallion pipelines."""


@guarded
def main() -> None:
    """Run the command line."""
    settle()
    if asked := os.environ.get(_COMPLETION):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(fleetgen, {}, "fleetgen", _COMPLETION, asked))
    try:
        with fleetgen.make_context("fleetgen", sys.argv[1:]) as context:
            fleetgen.invoke(context)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.exceptions.NoArgsIsHelpError as asking:
        asking.show()
        sys.exit(asking.exit_code)
    except click.ClickException as fault:
        fail(told(fault, fleetgen, list(_COMMANDS)), fault.exit_code)
