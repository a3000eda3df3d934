"""Owns `fleetgen run`: one process in the foreground; what supervisord starts. Kept apart to import little."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import click

from fleetgen.cadence.signals import hold
from fleetgen.cli.output import with_config
from fleetgen.config.watching import load_or_last_good


@click.command
@click.argument("process", type=click.Choice(["company", "driver", "pipeline", "control"]))
@click.option("--address", help="Address to listen on; default: the configuration's.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; default: the configuration's.")
@click.option("--data", type=click.Path(path_type=Path), help="Data directory; default: the configuration's.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Run folder; default: the configuration's.")
@click.option("--once", is_flag=True, help="Only of the pipeline: carry what is published, and end.")
@with_config
def run(
    process: str,
    address: str | None,
    port: int | None,
    data: Path | None,
    run_folder: Path | None,
    once: bool,
    config_file: Path,
) -> None:
    """Run one process in the foreground; this is what supervisord starts.

    While the configuration is invalid, the last valid one in the run folder named by --run is used.
    """
    if once:
        importlib.import_module("fleetgen.cli.carrying").carry_once(process, config_file, data, run_folder)
        return
    hold()  # until the process decides what they mean: it takes a while to get that far
    # structlog draws in rich wherever it is installed, for tracebacks on a terminal that no process prints: 6 MB.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    loaded, fault = load_or_last_good(config_file, run_folder)
    loaded = replace(loaded, fixed_data=data, fixed_run=run_folder)
    importlib.import_module(f"fleetgen.processes.{process}").main(loaded, address, port, fault)
