"""Owns `fleetgen run`: one process in the foreground; what supervisord starts. Kept apart to import little."""

import importlib
import sys
from pathlib import Path

import click

from fleetgen.cli.output import with_config
from fleetgen.config.loading import load


@click.command
@click.argument("process", type=click.Choice(["company", "driver"]))
@click.option("--port-offset", type=click.IntRange(0, 60_000), default=0, help="Added to every port.")
@with_config
def run(process: str, port_offset: int, config_file: Path) -> None:
    """Run one process in the foreground; this is what supervisord starts."""
    # structlog draws in rich wherever it is installed, for tracebacks on a terminal that no process prints: 6 MB.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    loaded = load(config_file)
    importlib.import_module(f"fleetgen.processes.{process}").main(loaded, port_offset)
