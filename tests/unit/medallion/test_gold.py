"""The SQL of each gold table over judged lines made by hand: what it counts, and that running sums repeat nothing."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from fleetgen.medallion import gold
from fleetgen.medallion.gold import GOLD, Gold

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATE = datetime(2026, 1, 2, 0, tzinfo=UTC)

JUDGED = pa.schema(
    [("batch_number", pa.int64()), ("line", pa.int64()), ("rule", pa.string())]
    + [(name, pa.string()) for name in ("event_id", "driver_id", "company_id", "truck_id", "event_type", "geography")]
    + [("active", pa.bool_()), ("timestamp", pa.timestamp("us", "UTC"))]
)
BATCHES = pa.schema(
    [("stream", pa.string()), ("batch_number", pa.int64()), ("batch_id", pa.string())]
    + [(name, pa.timestamp("us", "UTC")) for name in ("interval_start", "interval_end")]
    + [("lines", pa.int64())]
)


class Question:
    """Judged lines in a database of their own, asked by the SQL of one gold table."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.judged: list[dict[str, Any]] = []
        self.known = ["A", "B"]
        self.own: list[dict[str, Any]] = []

    def batch(self, number: int, *lines: dict[str, Any]) -> None:
        """Add a batch with these lines."""
        self.judged += [{"batch_number": number, "line": place, **line} for place, line in enumerate(lines, 1)]

    def answer(self, table: Gold, after: int = -1, batches: int = 2) -> list[dict[str, Any]]:
        """Return the rows of the batches after one, of so many batches in all."""
        rows = [
            {"stream": "events", "batch_number": number, "batch_id": f"b{number}", "interval_start": NOON,
             "interval_end": NOON, "lines": sum(line["batch_number"] == number for line in self.judged)}
            for number in range(batches)
        ]  # fmt: skip
        given = {
            "judged": pa.Table.from_pylist(self.judged, JUDGED),
            "batches": pa.Table.from_pylist(rows, BATCHES),
            "known_companies": pa.table({"company_id": self.known}),
            "own": pa.Table.from_pylist(self.own, table.form.schema),
        }
        for name, content in given.items():
            self._connection.register(name, content)
        found = self._connection.sql(table.sql, params={"after": after}).to_arrow_table().cast(table.form.schema)
        return sorted(found.to_pylist(), key=str)


@pytest.fixture
def question() -> Iterator[Question]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield Question(connection)


def event(company: str = "A", kind: str = "delivered", rule: str | None = None, **changes: Any) -> dict[str, Any]:
    if rule is not None:
        return {"rule": rule}
    clean = {"event_id": "e", "driver_id": "d", "company_id": company, "truck_id": "t", "event_type": kind}
    return {"rule": None, **clean, "timestamp": NOON, **changes}


def columns(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_every_line_of_a_batch_is_accepted_quarantined_or_a_duplicate(question: Question) -> None:
    question.batch(0, event(), event(rule="duplicate"), event(rule="invalid_json"), event(rule="invalid_json"))
    rows = question.answer(gold.BATCHES)
    counts = columns(rows, "batch_number", "lines", "accepted", "quarantined", "duplicates")
    assert counts == [(0, 4, 1, 2, 1), (1, 0, 0, 0, 0)]


def test_only_batches_that_a_table_lacks_give_it_rows(question: Question) -> None:
    for number in range(2):
        question.batch(number, event(), event(rule="invalid_json"), event("stranger"))
    for table in GOLD:
        if not table.kept:
            assert {row["batch_number"] for row in question.answer(table, after=0)} == {1}, table.form.name
            assert question.answer(table, after=1) == [], table.form.name


def test_quality_counts_lines_by_rule_and_names_the_issue_behind_it(question: Question) -> None:
    question.batch(0, event(), event(rule="duplicate"), event(rule="missing_field"), event(rule="missing_field"))
    rows = question.answer(gold.QUALITY)
    assert columns(rows, "rule", "lines") == [("duplicate", 1), ("missing_field", 2)]
    assert [row["issue_type"] for row in rows] == ["duplicate", "missing_field"]


def test_events_are_counted_by_company_and_type_without_those_rejected(question: Question) -> None:
    question.batch(0, event("A"), event("A"), event("B", "start driving"), event(rule="invalid_json"))
    found = columns(question.answer(gold.EVENTS_BY_COMPANY), "company_id", "event_type", "events")
    assert found == [("A", "delivered", 2), ("B", "start driving", 1)]


def test_a_batch_without_an_event_was_active_in_nothing(question: Question) -> None:
    question.batch(0, event("A", driver_id="d1", truck_id="t1"), event("A", driver_id="d2", truck_id="t1"))
    found = columns(question.answer(gold.ACTIVE), "companies", "drivers", "trucks", "events")
    assert found == [(1, 2, 1, 2), (0, 0, 0, 0)]


def test_deliveries_go_on_from_those_of_the_same_day(question: Question) -> None:
    question.batch(0, event(), event(kind="start driving"), event(timestamp=LATE))
    first = question.answer(gold.DELIVERIES)
    assert columns(first, "day", "company_id", "deliveries") == [
        (date(2026, 1, 1), "A", 1),
        (date(2026, 1, 2), "A", 1),
    ]
    # given the rows that the table has, a later batch changes the days that it has deliveries of, and no other
    question.own = first
    question.batch(1, event("B", timestamp=LATE), event(timestamp=LATE))
    changed = columns(question.answer(gold.DELIVERIES, after=0), "day", "company_id", "deliveries")
    assert changed == [(date(2026, 1, 2), "A", 2), (date(2026, 1, 2), "B", 1)]


def test_the_fleet_is_summed_on_and_a_batch_that_is_in_counts_once(question: Question) -> None:
    def company(geography: str, active: bool) -> dict[str, Any]:
        return {"rule": None, "geography": geography, "active": active}

    question.batch(0, company("EU", True), company("EU", False), company("US", True))
    first = question.answer(gold.FLEET)
    assert columns(first, "geography", "companies", "active_companies") == [("EU", 2, 1), ("US", 1, 1)]
    question.own = first
    assert question.answer(gold.FLEET, after=0) == first
    question.batch(1, company("EU", True))
    again = columns(question.answer(gold.FLEET, after=0), "geography", "companies", "active_companies")
    assert again == [("EU", 3, 2), ("US", 1, 1)]


def test_an_event_of_a_company_that_nobody_knows_is_listed(question: Question) -> None:
    question.batch(0, event("A"), event("stranger"), event("stranger"), event(rule="unknown_company"))
    assert columns(question.answer(gold.UNKNOWN), "company_id", "events") == [("stranger", 2)]
    question.known.append("stranger")
    assert question.answer(gold.UNKNOWN) == []
