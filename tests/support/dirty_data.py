"""Dirty datasets for tests of the score: made at once, with any settings, and pipelines of a few lines that judge them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetgen.cadence.clock import system_now
from fleetgen.config.presets import preset_text
from fleetgen.domain.records import EVENT_TYPES, GEOGRAPHIES, Stream, instant
from fleetgen.generation.at_once import write_at_once
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.dataset import Dataset
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.scoring.truth import blocks_of
from fleetgen.storage.layout import Layout
from fleetgen.testing import DirtyBatch, DirtyBatches
from support.configs import parsed

START = instant("2026-01-05T12:00:00Z")
FIELDS = {
    Stream.COMPANIES: ("company_id", "geography", "active", "created_at"),
    Stream.EVENTS: ("event_id", "driver_id", "company_id", "truck_id", "event_type", "timestamp"),
}
Row = dict[str, Any]


def dirty_dataset(folder: Path, batches: int, **changes: str) -> DirtyBatches:
    """Make so many driver intervals of `quality-demo`, with other TOML for some keys; or go on from the dataset's end."""
    lines = preset_text("quality-demo").splitlines()
    for key, value in changes.items():
        found = [place for place, line in enumerate(lines) if line.split("=")[0].strip() == key]
        assert found, key
        for place in found:
            lines[place] = f"{key} = {value}"
    layout = Layout(folder / "data")
    span = Span(None if layout.manifest.exists() else START, None, batches)
    with Backfill(layout, parsed("\n".join(lines)), span, system_now()) as history:
        write_at_once(history)
    return DirtyBatches(layout.data)


def carry(made: DirtyBatches, streams: tuple[Stream, ...] = tuple(Stream), most: int | None = None) -> None:
    """Let the own pipeline carry all batches of these streams, or so many of the first."""
    layout = Layout(made.data)
    engine = EmbeddedEngine(layout, Dataset(layout).manifest().dataset_id, lambda: None)
    for stream in streams:
        engine.carry(stream, list(Dataset(layout).ledgers[stream].batches())[:most])
    engine.close()


def truth(made: DirtyBatches, stream: Stream) -> Iterator[tuple[str, int, Row]]:
    """Yield batch, line and issue of every line of truth on disk."""
    for batch in made.batches(stream):
        for line in (made.data / "truth" / stream / batch.batch_id / "issues.jsonl").read_text().splitlines():
            issue = json.loads(line)
            yield batch.batch_id, issue["line"], issue


def remade_truth(made: DirtyBatches, stream: Stream) -> Iterator[tuple[str, int, str]]:
    """Yield batch, line and type of every issue as it is made again."""
    dataset = Dataset(Layout(made.data))
    for entry in dataset.ledgers[stream].batches():
        for block in blocks_of(dataset, dataset.manifest(), stream, entry):
            yield from ((entry.batch_id, line, issue.kind) for line, issue in block.issues.items())


def orphans(whole: "Judged") -> list[Row]:
    """Return the places of accepted events whose company was rejected."""
    companies = {record["company_id"] for place, record in whole.accepted if place["stream"] == "companies"}
    return [place for place, record in whole.accepted if record["company_id"] not in companies]


@dataclass(frozen=True)
class Judged:
    """What a pipeline made of all lines: each as its place and its record."""

    rejected: list[tuple[Row, Row]]
    accepted: list[tuple[Row, Row]]


def by_line(found: list[tuple[Row, Row]]) -> list[Row]:
    """Return rows that name records by their place."""
    return [place for place, _ in found]


def by_id(found: list[tuple[Row, Row]]) -> list[Row]:
    """Return rows that are the records themselves, without their place."""
    return [record for _, record in found]


def piped(made: DirtyBatches, blind: str | None = None) -> Judged:
    """Judge all lines by a correct pipeline, or by one that is blind to one type of issue."""
    rejected: list[tuple[Row, Row]] = []
    accepted: list[tuple[Row, Row]] = []
    for stream in Stream:
        for batch in made.batches(stream):
            seen: set[str] = set()
            for number, line in batch.lines():
                record = json.loads(line)
                faults = {*_faults(record, stream, batch), *(["duplicate"] if line in seen else [])} - {blind}
                place = {"stream": stream.value, "batch_id": batch.batch_id, "line": number}
                (rejected if faults else accepted).append((place, record))
                seen.add(line)
    return Judged(rejected, accepted)


def _faults(record: Row, stream: Stream, batch: DirtyBatch) -> Iterator[str]:
    if set(record) != set(FIELDS[stream]):
        yield "missing_field"
    if None in record.values():
        yield "null_value"
    choice, choices = ("geography", GEOGRAPHIES) if stream is Stream.COMPANIES else ("event_type", EVENT_TYPES)
    if record.get(choice) is not None and record[choice] not in choices:
        yield "invalid_enum"
    time = record.get("created_at" if stream is Stream.COMPANIES else "timestamp")
    if time is not None:
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time):
                raise ValueError
            if not batch.interval_start <= instant(time) < batch.interval_end:
                yield "boundary_violation"
        except ValueError:
            yield "malformed_timestamp"
