"""Owns `fleetgen init`: a place for a set of its own."""

from pathlib import Path

import click

from fleetgen.cli.calling import program
from fleetgen.cli.completing import offer_presets
from fleetgen.cli.welcome import quoted, short
from fleetgen.config.laying_out import Laid, lay_out
from fleetgen.config.presets import CONFIG_FILE


@click.command
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--preset", default="emulated", show_default=True, shell_complete=offer_presets, help="The preset to begin with."
)
@click.option("--force", is_flag=True, help="Write over files that are there; the configuration is kept as .bak.")
def init(directory: Path, preset: str, force: bool) -> None:
    """Make DIRECTORY a place for a set of its own.

    Its etc/ gets a configuration, the presets, the schema, and what Prometheus, Grafana and lnav read.
    """
    written: list[Laid] = []
    try:
        for each in lay_out(directory / "etc", preset, force):
            written.append(each)  # noqa: PERF402 - what a fault leaves written is named too
    finally:  # named when all are written: a reader that closes the pipe leaves nothing half done
        for laid in written:
            kept = "" if laid.kept is None else f"  (the file that was there is kept as {short(laid.kept)})"
            click.echo(f"  {short(laid.file)}{kept}")
    target = directory / "etc" / CONFIG_FILE
    click.echo(f"{target} is ready. Start the set with:\n\n  {program()} up --config {quoted(target)}\n")
