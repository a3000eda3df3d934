"""What is written down about a batch: its meta, its ledger line, where the stream stands then, and derived files."""

import json
from pathlib import Path
from typing import Any

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import SCHEMA_VERSION, SECOND, Interval, Stream, iso
from fleetgen.generation import recording
from fleetgen.storage.bronze import Part
from fleetgen.storage.ledger import GapEntry, GapReason
from fleetgen.storage.manifest import Head
from support.domain_cases import NOON, emulated, only_segment

INTERVAL = Interval(NOON, NOON + 10 * SECOND)


def meta(stream: Stream = Stream.EVENTS, number: int = 7, issues: dict[str, int] | None = None) -> dict[str, Any]:
    segment = only_segment(emulated(seed=42))
    inputs = BatchInputs(stream, number, INTERVAL, segment, (segment,), company_count=30)
    parts = [Part("events-00000.jsonl", 5, 500, "a" * 64), Part("events-00001.jsonl", 3, 300, "b" * 64)]
    return recording.batch_meta(inputs, parts, "c" * 64, issues or {})


def gap(reason: GapReason = "paused", intervals: int = 3) -> GapEntry:
    end = iso(INTERVAL.end + 20 * SECOND)
    return GapEntry(start=iso(NOON), end=end, segment=1, company_count=0, reason=reason, intervals=intervals)


def test_a_meta_counts_over_all_parts_and_what_was_injected() -> None:
    told = meta(issues={"duplicate": 2, "missing_field": 1})
    counts = {key: told[key] for key in ("record_count", "event_count", "valid_count", "corrupted_count", "bytes")}
    assert counts == {"record_count": 8, "event_count": 8, "valid_count": 5, "corrupted_count": 3, "bytes": 800}
    assert list(told["issue_counts"]) == ["missing_field", "duplicate"]
    assert [part["record_count"] for part in told["parts"]] == [5, 3]


def test_a_meta_names_the_seed_of_the_dataset_and_the_label_of_the_batch() -> None:
    told = meta(number=7)
    assert (told["base_seed"], told["seed"], told["batch_number"]) == (42, 49, 7)
    assert (told["batch_id"], told["interval_end"]) == ("20260101T120000Z", "2026-01-01T12:00:10.000000Z")


def test_the_clock_of_a_meta_stands_in_keys_of_its_own() -> None:
    told = recording.clock_meta(NOON, NOON + 2 * SECOND, NOON + 2_500_000)
    assert tuple(told) == recording.CLOCK_KEYS
    assert told["duration_seconds"] == 0.5
    assert not set(told) & set(meta())


def test_a_ledger_line_is_read_from_the_meta_alone() -> None:
    entry = recording.ledger_entry(json.loads(json.dumps(meta(issues={"duplicate": 2}))))
    assert (entry.interval, entry.parts, entry.record_count, entry.valid_count) == (INTERVAL, 2, 8, 6)
    assert entry.issue_counts == {"duplicate": 2}
    assert entry.schema_version == SCHEMA_VERSION


def test_a_ledger_line_from_an_earlier_meta_keeps_its_version() -> None:
    assert recording.ledger_entry(meta() | {"schema_version": 1}).schema_version == 1


def test_a_stream_stands_at_the_end_of_what_was_recorded_last() -> None:
    entry = recording.ledger_entry(meta(issues={"duplicate": 2}))
    head = recording.head_after(Head(stands_at=NOON), Stream.EVENTS, entry, published_at=NOON + 9, late=True)
    head = recording.head_after(head, Stream.EVENTS, entry, published_at=None, late=False)
    assert (head.stands_at, head.next_batch, head.next_company) == (INTERVAL.end, 8, 0)
    assert head.last_published_at == NOON + 9
    totals = head.totals
    assert (totals.batches, totals.records, totals.backfilled) == ({"emulated": 2}, 16, 1)
    assert totals.issues == {"duplicate": 4}


def test_companies_are_counted_on_with_every_batch_of_them() -> None:
    entry = recording.ledger_entry(meta(Stream.COMPANIES))
    head = recording.head_after(Head(stands_at=NOON), Stream.COMPANIES, entry, published_at=1, late=False)
    assert head.next_company == 30


def test_a_gap_moves_a_stream_on_and_counts_its_intervals_by_reason() -> None:
    head = Head(stands_at=NOON, next_batch=4)
    for entry in (gap(), gap(), gap("downtime", 1)):
        head = recording.head_after(head, Stream.EVENTS, entry, published_at=None, late=False)
    assert (head.stands_at, head.next_batch) == (gap().interval.end, 4)
    assert head.totals.missed == {"paused": 6, "downtime": 1}
    assert head.totals.batches == {}


def test_only_data_files_are_data(tmp_path: Path) -> None:
    for name in ("events-00001.jsonl", "events-00000.jsonl", "batch_meta.json", "notes.jsonl", "events.jsonl.bak"):
        (tmp_path / name).touch()
    found = recording.data_files(tmp_path, Stream.EVENTS)
    assert [path.name for path in found] == ["events-00000.jsonl", "events-00001.jsonl"]
