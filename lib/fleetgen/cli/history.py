"""Owns `fleetgen backfill`: history at full speed, without a supervisor."""

from pathlib import Path
from typing import Any

import click

from fleetgen.cadence.clock import system_now
from fleetgen.cli.interrupting import interruptible
from fleetgen.cli.output import moment, with_config
from fleetgen.cli.progress import progress
from fleetgen.cli.spark import makers
from fleetgen.cli.workers import end_workers
from fleetgen.config.loading import load
from fleetgen.domain.records import iso
from fleetgen.errors import UsageError
from fleetgen.generation.backfilling import Backfill, Span, default_start
from fleetgen.processes.memory import keep_freed_memory


@click.command
@click.option("--from", "start", help="First start, for an empty dataset: an ISO 8601 time such as 2026-01-01T00:00Z.")
@click.option("--until", help="Make what is due by this time; default: now.")
@click.option("--batches", type=click.IntRange(1), help="Make so many driver intervals, and the companies they need.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes that make batches; default: 1.")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True)
@click.option("--master", help="With --engine spark: spark://HOST:7077, or local[2] for this machine's cores alone.")
@click.option("--partitions", type=click.IntRange(1, 100_000), help="Tasks of a wave; default: two a core.")
@click.option("--conf", multiple=True, metavar="KEY=VALUE", help="A setting of Spark; may be given several times.")
@with_config
def backfill(
    start: str | None, until: str | None, batches: int | None, jobs: int | None, config_file: Path, **options: Any
) -> None:
    """Make history at full speed: the bytes that a running set would have made.

    Fills an empty dataset as if the set had been started at --from, or goes on from a dataset's end. Called again after
    a kill, it goes on where it was. The set must not be running.
    """
    keep_freed_memory()
    if until is not None and batches is not None:
        raise UsageError("--until and --batches exclude each other.")
    loaded = load(config_file)
    others = makers(loaded, jobs, **options)
    now = system_now()
    first = moment("--from", start)
    span = Span(first, moment("--until", until), batches)
    made = 0
    with (
        interruptible(lambda: f"{made:,} batches are made and kept; the same command goes on.", end_workers),
        Backfill(loaded.layout, loaded.config, span, now) as history,
        others as chosen,
    ):
        if first is None and batches is not None and history.is_empty():
            history.start_at(default_start(loaded.config, now, batches))
        end = history.begin()
        with progress("Backfilling", history.batches_up_to(end)) as tell:
            for _ in history.fill_by(end, chosen):
                made += 1
                tell(made)
    ends = f"ends at {iso(history.stands_at())}"
    if made:
        click.echo(f"{made:,} batches made: the dataset in {loaded.layout.data} now {ends}.")
    else:
        click.echo(f"Nothing to make: the dataset in {loaded.layout.data} already {ends}.")
