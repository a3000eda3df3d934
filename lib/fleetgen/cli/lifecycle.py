"""Owns pause, resume and clean; they work through the manifest, whether the set runs or not."""

from pathlib import Path

import click

from fleetgen.cadence.clock import SystemClock
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.errors import UsageError
from fleetgen.generation.cleaning import clean as clean_dataset
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.manifest import ManifestStore


@click.command
@click.option("--reason", help="Why, for those who look later.")
@with_config
def pause(reason: str | None, config_file: Path) -> None:
    """Publish nothing until `resume`; survives restarts. Intervals that pass are recorded as gaps."""
    with _store(config_file).locked() as transaction:
        desired = transaction.manifest.desired
        if desired.paused:
            click.echo("Already paused.")
            return
        changed = desired.updated(paused=True, paused_at=SystemClock().now(), pause_reason=reason)
        transaction.save(transaction.manifest.updated(desired=changed))
    click.echo("Paused: no batch is published until `fleetgen resume`.")


@click.command
@with_config
def resume(config_file: Path) -> None:
    """Go on with the next interval."""
    with _store(config_file).locked() as transaction:
        desired = transaction.manifest.desired
        if not desired.paused:
            click.echo("Not paused.")
            return
        changed = desired.updated(paused=False, resumed_at=SystemClock().now(), pause_reason=None)
        transaction.save(transaction.manifest.updated(desired=changed))
    click.echo("Resumed: each stream goes on with its next interval.")


@click.command
@click.option("--yes", is_flag=True, help="Really delete the data.")
@with_config
def clean(yes: bool, config_file: Path) -> None:
    """Delete the whole dataset; logs stay. A running set must be paused first."""
    loaded = load_in_use(config_file)
    if not yes:
        raise UsageError(f"This deletes all data in {loaded.layout.data}. To go on, say `fleetgen clean --yes`.")
    cleaned = clean_dataset(loaded.layout)
    if not cleaned.items:
        click.echo("There was nothing to delete.")
        return
    click.echo(
        f"Deleted from {loaded.layout.data}: {', '.join(item for item in cleaned.items if not item.startswith('.'))}."
    )


def _store(config_file: Path) -> ManifestStore:
    return Dataset(load_in_use(config_file).layout).store
