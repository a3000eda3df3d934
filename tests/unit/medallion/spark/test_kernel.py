"""What an executor does, without Spark: the rows that tables lack, also of batches larger than its memory."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion.gold import GOLD, gold_of
from fleetgen.medallion.silver import silver_of
from fleetgen.medallion.spark.kernel import Work, rows_of_run, rows_of_runs
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED, SCHEMA, TABLE
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from support.nasty_lines import NASTY, event

MEGABYTE = 1_000_000
NAMES = [*(each.form.name for each in silver_of(Stream.EVENTS)), *(each.form.name for each in gold_of(Stream.EVENTS))]


def published(layout: Layout, number: int, lines: Iterable[bytes]) -> BatchEntry:
    """Put a batch of events where a published one lies; return its line of the ledger."""
    content = b"".join(line + b"\n" for line in lines)
    folder = layout.batch(Stream.EVENTS, f"20260105T1200{number:02d}Z")
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(content)
    told = {"sha256": hashlib.sha256(content).hexdigest(), "record_count": content.count(b"\n"), "bytes": len(content)}
    inputs = {"start": "2026-01-05T12:00:00Z", "end": "2026-01-05T12:00:10Z", "segment": 1, "company_count": 1}
    counts = {"valid_count": 0, "corrupted_count": 0, "parts": 1}
    named = {"batch_number": number, "batch_id": folder.name, "mode": "emulated"}
    return BatchEntry.model_validate(inputs | counts | named | told)


def work(layout: Layout, *runs: list[BatchEntry], after: int = -1, memory: int | None = None) -> Work:
    return Work(layout, Stream.EVENTS, runs, dict.fromkeys(NAMES, after), memory)


def rows(found: Iterable[pa.RecordBatch]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = pa.Table.from_batches(list(found), SCHEMA).to_pylist()
    return told


def test_rows_of_all_tables_come_in_one_form(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    entry = published(layout, 0, [event(1), event(2), event(1), b"{"])
    found = rows(rows_of_run(work(layout), [entry]))
    assert Counter(row[TABLE] for row in found) == {
        "events": 2,
        "quarantine": 2,
        "batches": 1,
        "quality_by_batch": 2,
        "events_by_company_and_type": 1,
        "active_drivers_and_trucks": 1,
        "deliveries_by_company_and_day": 1,
        "unknown_company_events": 1,
        JUDGED: 3,
    }
    judged = {row["rule"]: row["lines"] for row in found if row[TABLE] == JUDGED}
    assert judged == {None: 2, "duplicate": 1, "invalid_json": 1}


def test_a_table_gets_only_what_it_lacks(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    entries = [published(layout, number, [event(number + 1)]) for number in range(3)]
    found = rows(rows_of_run(work(layout, after=1), entries))
    assert {row["batch_number"] for row in found if row["batch_number"] is not None} == {2}
    assert [row["lines"] for row in found if row[TABLE] == JUDGED] == [3]
    assert [row["deliveries"] for row in found if row[TABLE] == "deliveries_by_company_and_day"] == [1]


def test_each_run_is_worked_off_by_its_place(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    runs = [[published(layout, number, [event(number + 1)])] for number in range(3)]
    places = [pa.record_batch({"id": [2, 0]})]
    found = rows(rows_of_runs(work(layout, *runs), iter(places)))
    assert [row["batch_number"] for row in found if row[TABLE] == "batches"] == [2, 0]


def test_a_batch_larger_than_the_memory_gives_the_same_rows(tmp_path: Path) -> None:
    # given one batch of more lines than 64 megabytes are for, with duplicates far apart
    layout = Layout(tmp_path)
    nasty = [each.line for each in NASTY if len(each.line) < 10_000]
    entry = published(layout, 0, [*nasty, *map(event, range(1000, 36_000)), *nasty])
    # then it does not matter whether it is judged whole or in pieces
    found = [rows(rows_of_run(work(layout, memory=memory), [entry])) for memory in (300 * MEGABYTE, 64 * MEGABYTE)]
    whole, in_pieces = (sorted(map(repr, each)) for each in found)
    assert whole == in_pieces


def test_a_damaged_batch_is_told_of_in_a_row(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    entry = published(layout, 0, [event(1)])
    (layout.batch(Stream.EVENTS, entry.batch_id) / "events.jsonl").unlink()
    (row,) = rows(rows_of_run(work(layout), [entry]))
    assert row[TABLE] == DAMAGED
    assert entry.batch_id in row["raw"]
    assert "verify --all --repair" in row["raw"]


@pytest.mark.parametrize("gold", [gold for gold in GOLD if gold.kept], ids=lambda gold: gold.form.name)
def test_what_a_kept_table_does_not_add_up_tells_its_rows_apart(gold: Any) -> None:
    assert 0 < len(gold.form.counts) < len(gold.form.columns)
    assert set(gold.form.partition_by).isdisjoint(gold.form.counts)
