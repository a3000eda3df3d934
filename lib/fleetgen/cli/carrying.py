"""Owns `fleetgen run pipeline --once`: what is published, into the tables. Apart from `running`, which loads little."""

from dataclasses import replace
from pathlib import Path

import click

from fleetgen.cli.interrupting import interruptible
from fleetgen.cli.progress import progress
from fleetgen.config.watching import load_or_last_good
from fleetgen.errors import UsageError
from fleetgen.generation.checking import require_dataset
from fleetgen.generation.dataset import Dataset


def carry_once(process: str, config_file: Path, data: Path | None, run_folder: Path | None) -> None:
    """Carry what is published, show how far it has come, and say in the end how much that was."""
    if process != "pipeline":
        raise UsageError("--once is for the pipeline: the other processes have no end to come to.")
    loaded, _ = load_or_last_good(config_file, run_folder)
    loaded = replace(loaded, fixed_data=data, fixed_run=run_folder)
    require_dataset(Dataset(loaded.layout))
    first = done = total = 0

    def so_far() -> str:
        return f"{done - first:,} batches are carried and kept; the same command goes on."

    with interruptible(so_far), progress("Carrying") as tell:
        from fleetgen.processes import pipeline  # logs beside the bar

        for begun, done, total in pipeline.carry_once(loaded):
            first = begun
            tell(done, total)
    if done > first:
        click.echo(
            f"{done - first:,} batches carried: the tables in {loaded.layout.data} have all {total:,}.", err=True
        )
    else:
        click.echo(f"Nothing to carry: the tables in {loaded.layout.data} have all {total:,} batches.", err=True)
