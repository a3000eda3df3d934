"""The tables of the pipeline as tests see them: a dirty dataset, what carries it, and what is in the tables."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.engine import Engine
from fleetgen.medallion.embedded.database import Database
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.medallion.embedded.reading import FORMS
from fleetgen.medallion.embedded.tables import load
from fleetgen.medallion.forms import TableForm
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, Ledger
from support.simulation import Simulation, simulated

DATASET = "a-dataset"


@contextmanager
def dirty(folder: Path, seconds: float, **changes: str) -> Iterator[Simulation]:
    """A dataset of so many seconds in which three of ten records have an issue."""
    rates = {"event_error_rate": "0.3", "company_error_rate": "0.3"}
    with simulated(folder, preset="quality-demo", **(rates | changes)) as simulation:
        simulation.run_for(seconds)
        yield simulation


def varied(folder: Path, count: int) -> Layout:
    """Make a dirty dataset of three segments, four geographies and about so many batches of each stream."""
    weights = {"geography_weights": "{ US = 0.4, EU = 0.3, SA = 0.2, AUS = 0.1 }", "active_probability": "0.8"}
    with dirty(folder, 0, **weights) as simulation:
        for rate in ("0.3", "0.0", "0.6"):
            simulation.edit(event_error_rate=rate, company_error_rate=rate)
            simulation.run_for(10 * count / 3)
        return simulation.dataset.layout


def copied(bronze: Layout, folder: Path) -> Layout:
    """Return a copy of a dataset, to fill tables of its own from."""
    shutil.copytree(bronze.data, folder)
    return Layout(folder)


def batches(layout: Layout, stream: Stream) -> list[BatchEntry]:
    """Return the published batches of a stream."""
    return list(Ledger(layout.ledger(stream)).batches())


def engine(layout: Layout, keep_seconds: int = 600) -> EmbeddedEngine:
    """Return an engine as a process makes one at its start."""
    return EmbeddedEngine(layout, DATASET, lambda: None, keep_seconds)


def databases_begun(monkeypatch: pytest.MonkeyPatch, passes: int) -> list[Database]:
    """Let DuckDB begin anew after so many passes; return a list that has the database each time that it has begun."""
    begun: list[Database] = []
    begin = Database._begin

    def counted(database: Database) -> None:
        begin(database)
        begun.append(database)

    monkeypatch.setattr(Database, "_begin", counted)
    monkeypatch.setattr("fleetgen.medallion.embedded.database._PASSES", passes)
    return begun


def follow(layout: Layout, carrier: Engine, first: Stream = Stream.COMPANIES, most: int = 1) -> None:
    """Carry what is missing, so many batches of each stream at a time, and keep the tables up between."""
    streams = [first, *(stream for stream in Stream if stream is not first)]
    pending = {stream: batches(layout, stream)[carrier.next_batch(stream) :] for stream in streams}
    while any(pending.values()):
        for stream in streams:
            now, pending[stream] = pending[stream][:most], pending[stream][most:]
            carrier.carry(stream, now)
            carrier.maintain()


def contents(layout: Layout) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table, sorted."""
    found = {}
    for form in FORMS:
        delta = load(form.folder(layout))
        assert delta is not None, form.name
        found[form.name] = sorted_rows(delta.to_pyarrow_table(), form)
    return found


def sorted_rows(table: pa.Table, form: TableForm) -> list[tuple[Any, ...]]:
    """Return the rows of a table, however somebody has read it: in the form's columns and types, sorted."""
    columns = table.select(form.schema.names).cast(form.schema).to_pydict().values()
    return sorted(zip(*columns, strict=True), key=repr)
