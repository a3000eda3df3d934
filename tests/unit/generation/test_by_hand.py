"""Batches made by hand: the companies of a file, and what is refused in one."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from fleetgen.domain.companies import Fleet, active_fleet
from fleetgen.domain.records import ALGORITHM, Segment, Stream
from fleetgen.errors import UsageError
from fleetgen.generation.by_hand import companies_by_hand, events_by_hand, fleet_of_file, truth_beside
from support.domain_cases import QUARTER, emulated

USUAL = "e18ddade6627c353488870b65a7db71c92fad9cde9b5ba81ad8351b1a0e613ec"


def lines(count: int = 5) -> list[bytes]:
    batch = companies_by_hand(emulated(), QUARTER, count)
    return b"".join(bytes(piece.lines) for piece in batch.pieces()).splitlines()


def test_without_a_count_a_batch_has_the_size_of_the_settings() -> None:
    assert companies_by_hand(emulated(companies_per_batch=7), QUARTER, None).rows == 7
    assert companies_by_hand(emulated(), QUARTER, 3).rows == 3


def test_events_are_of_the_companies_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "companies.jsonl"
    path.write_bytes(b"\n".join(lines()))
    fleet = fleet_of_file(path, emulated())
    batch = events_by_hand(emulated(), QUARTER, 100, fleet)
    events = [json.loads(line) for piece in batch.pieces() for line in bytes(piece.lines).splitlines()]
    assert len(events) == 100
    assert {event["company_id"] for event in events} <= {json.loads(line)["company_id"] for line in lines()}


def test_only_active_companies_count_and_of_many_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "companies.jsonl"
    inactive = json.dumps(json.loads(lines()[4]) | {"active": False}).encode()
    path.write_bytes(b"\n".join([*lines()[:4], inactive]))
    assert len(fleet_of_file(path, emulated()).ids) == 4
    assert list(fleet_of_file(path, emulated(max_active_companies=3)).numbers) == [1, 2, 3]


def test_a_company_counts_as_it_was_before_an_issue_was_injected(tmp_path: Path) -> None:
    path = tmp_path / "companies.jsonl"
    record = json.loads(lines(1)[0])
    path.write_text(json.dumps({**record, "company_id": None}))
    issue = {"line": 1, "field": "company_id", "original": record["company_id"]}
    with pytest.raises(UsageError, match=r"Line 1 of .* is no company"):
        fleet_of_file(path, emulated())
    truth_beside(path).write_text(json.dumps(issue))
    assert len(fleet_of_file(path, emulated()).ids) == 1


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"7", b'{"company_id": "x"}', b'{"company_id": null}', b"\xff"])
def test_a_line_that_is_no_company_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "companies.jsonl"
    path.write_bytes(b"\n".join([lines(1)[0], line, lines(1)[0]]))
    with pytest.raises(UsageError, match=r"Line 2 of .* is no company: it needs a company_id that is a UUID"):
        fleet_of_file(path, emulated())


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.jsonl cannot be read: No such file"):
        fleet_of_file(tmp_path / "nowhere.jsonl", emulated())


def test_a_damaged_truth_is_told_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / f"{Stream.COMPANIES}.jsonl"
    path.write_bytes(lines(1)[0])
    truth_beside(path).write_text("{}\n")
    with pytest.raises(UsageError, match=r"is damaged: make .* again, or remove its truth"):
        fleet_of_file(path, emulated())


@pytest.mark.parametrize(("drivers", "count"), [(1, 600_000), (10, 2_000_000), (1000, 3_000_000)])
def test_no_block_of_a_large_batch_is_large(drivers: int, count: int) -> None:
    # given the companies of one company's worth of drivers, or of many
    settings = emulated(drivers_per_company=drivers if drivers == 1 else 10)
    fleet = fleet_of(max(1, drivers // 10))
    batch = events_by_hand(settings, QUARTER, count, fleet)
    assert batch.rows == count
    assert max(batch.block_rows) < 80_000, "a block is what is in memory at once"


def test_the_events_of_a_large_batch_fill_the_interval_in_order() -> None:
    batch = events_by_hand(emulated(drivers_per_company=2), QUARTER, 300_000, fleet_of(1))
    events = [json.loads(line) for piece in batch.pieces() for line in bytes(piece.lines).splitlines()]
    order = [(event["driver_id"], event["timestamp"]) for event in events]
    assert order == sorted(order)
    assert len({event["event_id"] for event in events}) == 300_000
    minutes = Counter(event["timestamp"][:16] for event in events)
    assert len(minutes) == 15
    assert all(18_500 < number < 21_500 for number in minutes.values())
    of_drivers = Counter(event["driver_id"] for event in events)
    assert all(148_000 < number < 152_000 for number in of_drivers.values())


def test_a_batch_by_hand_of_usual_size_has_the_bytes_that_it_always_had() -> None:
    batch = events_by_hand(emulated(), QUARTER, 5000, fleet_of(10))
    lines_of_it = b"".join(bytes(piece.lines) for piece in batch.pieces())
    assert hashlib.sha256(lines_of_it).hexdigest() == USUAL


def fleet_of(companies: int) -> Fleet:
    first = Segment(1, 0, ALGORITHM, 0, 0, 0, emulated())
    return active_fleet([first], companies, 0)
