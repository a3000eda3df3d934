"""Owns `fleetgen run`: one process in the foreground; what supervisord starts. Kept apart to import little."""

import importlib
import sys
from pathlib import Path

import click

from fleetgen.cli.output import with_config
from fleetgen.config.watching import load_or_last_good


@click.command
@click.argument("process", type=click.Choice(["company", "driver"]))
@click.option("--address", help="Address to serve metrics on; default: the configuration's.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to serve metrics on; default: the configuration's.")
@click.option(
    "--last-good", type=click.Path(path_type=Path), help="Configuration to use while the one named is invalid."
)
@with_config
def run(process: str, address: str | None, port: int | None, last_good: Path | None, config_file: Path) -> None:
    """Run one process in the foreground; this is what supervisord starts."""
    # structlog draws in rich wherever it is installed, for tracebacks on a terminal that no process prints: 6 MB.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    loaded, fault = load_or_last_good(config_file, last_good)
    importlib.import_module(f"fleetgen.processes.{process}").main(loaded, address, port, fault)
