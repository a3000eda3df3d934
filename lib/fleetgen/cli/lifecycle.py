"""Owns pause, resume and clean; they work through the manifest, whether the set runs or not."""

from pathlib import Path

import click

from fleetgen.cadence.clock import system_now
from fleetgen.cli.output import load_in_use, say, with_config
from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import UsageError
from fleetgen.generation import lifecycle
from fleetgen.generation.cleaning import Cleaned
from fleetgen.generation.cleaning import clean as clean_dataset
from fleetgen.generation.dataset import Dataset
from fleetgen.supervision.client import Supervisor, empty_logs
from fleetgen.supervision.deeds import tell


@click.command
@click.option("--reason", help="Why, for those who look later.")
@with_config
def pause(reason: str | None, config_file: Path) -> None:
    """Publish nothing until `resume`; survives restarts. Intervals that pass are recorded as gaps."""
    dataset = Dataset(load_in_use(config_file).layout)
    if lifecycle.pause(dataset, system_now(), reason):
        why = f": {reason}" if reason else ""
        tell(dataset.layout.logs, f"Paused by command{why}", "paused", reason=reason)
        say("Paused: no batch is published until `fleetgen resume`.")
    else:
        click.echo("Already paused.")


@click.command
@with_config
def resume(config_file: Path) -> None:
    """Go on with the next interval; an empty dataset gets its first batches at once."""
    loaded = load_in_use(config_file)
    resumed = lifecycle.resume(Dataset(loaded.layout), system_now(), loaded.config)
    if resumed.changed:
        told = list(resumed.actions)
        tell(loaded.layout.logs, "Resumed by command", "resumed", baseline_actions=told)
    if not resumed.changed:
        click.echo("Not paused.")
    elif resumed.actions:
        click.echo(f"Resumed: a running set makes the first batches at once ({', '.join(resumed.actions)}).")
    else:
        click.echo("Resumed: each stream goes on with its next interval.")


@click.command
@click.option("--yes", is_flag=True, help="Really delete the data.")
@click.option("--logs", is_flag=True, help="Empty the log files too.")
@with_config
def clean(yes: bool, logs: bool, config_file: Path) -> None:
    """Delete the whole dataset; logs stay unless asked. A running set must be paused first."""
    loaded = load_in_use(config_file)
    if not yes:
        raise UsageError(f"This deletes all data in {loaded.layout.data}. To go on, say `fleetgen clean --yes`.")
    cleaned = clean_dataset(loaded.layout)
    _tell_cleaned(loaded, cleaned)
    if logs:
        empty_logs(loaded.layout.logs, Supervisor(loaded.socket))
        click.echo("The logs are empty.")
    if cleaned.items:
        tell(
            loaded.layout.logs, f"Cleaned by command: {len(cleaned.items)} items", "cleaned", items=list(cleaned.items)
        )


def _tell_cleaned(loaded: LoadedConfig, cleaned: Cleaned) -> None:
    if not cleaned.items:
        click.echo("There was nothing to delete.")
        return
    click.echo(f"Deleted from {loaded.layout.data}: {', '.join(cleaned.items)}.")
