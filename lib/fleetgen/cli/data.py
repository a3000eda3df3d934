"""Owns the commands about data: generate, replay, schema."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click

from fleetgen.cadence.clock import SystemClock
from fleetgen.cadence.schedule import floor
from fleetgen.cli.completing import offer_batches
from fleetgen.cli.interrupting import interruptible
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.config.durations import Duration
from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.batches import Batch
from fleetgen.domain.records import SECOND, Interval, Settings, Stream
from fleetgen.domain.schemas import SCHEMA_FORMS, schema_text
from fleetgen.errors import UsageError
from fleetgen.generation import by_hand, checking
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.files import cannot_create

_LONGEST = Duration(1, 366 * 86_400)

STREAM = click.Choice([stream.value for stream in Stream])


@click.command
@click.argument("stream", type=STREAM)
@click.option("--now", is_flag=True, help="Let the interval end now instead of at the last grid point.")
@click.option("--output", type=click.Path(path_type=Path), help="File to write; default: standard output.")
@click.option(
    "--companies",
    "companies_file",
    type=click.Path(path_type=Path),
    help="For events: the companies, as JSON Lines; default: those of the dataset.",
)
@click.option("--count", type=click.IntRange(0, 100_000_000), help="Exactly so many records.")
@click.option("--interval", help="Length of the interval, such as PT15M; default: the mode's.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Another base seed.")
@with_config
def generate(
    stream: str,
    now: bool,
    output: Path | None,
    companies_file: Path | None,
    count: int | None,
    interval: str | None,
    seed: int | None,
    config_file: Path,
) -> None:
    """Make one batch by hand, beside the dataset: schedule and numbers stay untouched."""
    loaded = load_in_use(config_file)
    settings = _settings(loaded, seed)
    span = _interval(settings, Stream(stream), now, interval)
    if stream == Stream.COMPANIES:
        if companies_file is not None:
            raise UsageError("--companies goes with `generate events`.")
        batch = by_hand.companies_by_hand(settings, span, count)
    else:
        batch = _events(loaded, settings, span, count, companies_file)
    cut = f"{output or 'the output'} has a part of the records; the same command begins anew."
    with interruptible(lambda: cut), ExitStack() as stack:
        target = sys.stdout.buffer if output is None else stack.enter_context(_opened(output))
        beside = by_hand.truth_beside(output) if output is not None and _has_truth(batch, output) else None
        truth = stack.enter_context(_opened(beside)) if beside is not None else None
        if output is not None and batch.corrupt_block is None:
            by_hand.truth_beside(output).unlink(missing_ok=True)  # it told of what the output held before
        corrupted = _write(batch, target, truth)
    if output is not None:
        told = f", {corrupted:,} of them with an issue: see {beside}" if beside is not None else ""
        click.echo(f"{output}: {batch.rows:,} {stream}{told}")


def _events(
    loaded: LoadedConfig, settings: Settings, span: Interval, count: int | None, companies_file: Path | None
) -> Batch:
    if companies_file is None:
        fleet = by_hand.fleet_of_dataset(Dataset(loaded.layout), settings)
    else:
        fleet = by_hand.fleet_of_file(companies_file, settings)
    if count and not len(fleet):
        raise UsageError("There is no active company to send events.")
    return by_hand.events_by_hand(settings, span, count, fleet)


def _settings(loaded: LoadedConfig, seed: int | None) -> Settings:
    """Return the settings of the configuration; a seed that it leaves to be drawn is taken from the dataset, or is 0."""
    manifest = Dataset(loaded.layout).read()
    drawn = manifest.drawn_seed if manifest is not None else None
    for candidate in (seed, loaded.config.seed, drawn):
        if candidate is not None:
            return loaded.config.settings(candidate)
    return loaded.config.settings(0)


def _interval(settings: Settings, stream: Stream, now: bool, length: str | None) -> Interval:
    try:
        seconds = settings.interval_seconds(stream) if length is None else _LONGEST.read(length)
    except ValueError as fault:
        raise UsageError(f"--interval {length!r} {fault}: give {_LONGEST.allowed}.") from fault
    step = seconds * SECOND
    end = floor(SystemClock().now(), SECOND if now else step)
    return Interval(end - step, end)


def _has_truth(batch: Batch, output: Path) -> bool:
    """Whether there is truth to write beside the output; a device or a pipe has no place beside it."""
    return batch.corrupt_block is not None and (output.is_file() or not output.exists())


def _opened(output: Path) -> BinaryIO:
    try:
        return output.open("wb")
    except OSError as fault:
        raise cannot_create(output, fault) from fault


def _write(batch: Batch, target: BinaryIO, truth: BinaryIO | None = None) -> int:
    """Write a batch's lines, and its truth where that is wanted; return how many records have an issue."""
    corrupted = 0
    for piece in batch.pieces():
        target.write(piece.lines)
        if truth is not None:
            truth.write(piece.truth)
        corrupted += sum(piece.issues.values())
    target.flush()
    return corrupted


@click.command
@click.argument("stream", type=STREAM)
@click.argument("batch_id", shell_complete=offer_batches)
@click.option("--clean", is_flag=True, help="Print the records as they were before issues were injected.")
@with_config
def replay(stream: str, batch_id: str, clean: bool, config_file: Path) -> None:
    """Make a published batch again and print it, byte for byte."""
    dataset = Dataset(load_in_use(config_file).layout)
    manifest = checking.require_dataset(dataset)
    entry = checking.require_entry(dataset, Stream(stream), batch_id)
    _, batch = checking.remake(dataset, manifest, Stream(stream), entry)
    if clean:
        batch = replace(batch, corrupt_block=None)
    _write(batch, sys.stdout.buffer)


@click.command
@click.argument("stream", type=STREAM)
@click.option("--as", "form", type=click.Choice(SCHEMA_FORMS), default="jsonschema", show_default=True)
@with_config
def schema(stream: str, form: str, config_file: Path) -> None:
    """Print the schema of a stream's records."""
    click.echo(schema_text(Stream(stream), form))
