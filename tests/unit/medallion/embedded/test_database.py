"""The DuckDB of an engine: it suits what a pass asks for, and begins anew with nothing in memory or on the disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded import database
from fleetgen.medallion.embedded.budget import Budget
from fleetgen.medallion.embedded.database import BATCHES, KNOWN_COMPANIES, Database, registered

COUNT = "SELECT count(*) FROM known_companies"
INSTANTS = ", ".join(f"epoch_us({name}) AS {name}" for name in ("interval_start", "interval_end"))
BUDGET = Budget(memory=64_000_000, threads=2, lines=2000)


def setting(opened: Database, name: str) -> object:
    (value,) = opened.connection.execute(f"SELECT current_setting('{name}')").fetchall()
    return value[0]


def instant(microseconds: int) -> datetime:
    """Return an instant, as a pass is given it."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def passed(opened: Database, few: bool = True) -> None:
    """Let a pass go by."""
    with opened.working(Stream.EVENTS, few):
        pass


def test_few_lines_get_one_thread_and_many_get_all(tmp_path: Path) -> None:
    opened = Database(BUDGET, tmp_path)
    assert setting(opened, "threads") == 2
    for few, threads in ((True, 1), (True, 1), (False, 2)):
        passed(opened, few)
        assert (opened.suits_few, setting(opened, "threads")) == (few, threads)


def test_it_rests_as_it_is_until_there_were_many_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PASSES", 3)
    opened = Database(BUDGET, tmp_path)
    first = opened.connection
    for _ in range(3):
        opened.rest()
        assert opened.connection is first
        passed(opened)
    opened.rest()
    assert opened.connection is not first
    second = opened.connection
    passed(opened)
    opened.rest()
    assert opened.connection is second


@pytest.mark.parametrize("few", [True, False])
def test_a_pass_leaves_nothing_behind_however_it_ends(tmp_path: Path, few: bool) -> None:
    opened = Database(BUDGET, tmp_path)
    names = {"company_id": ["one", "two"]}
    for stream in (Stream.COMPANIES, Stream.EVENTS, Stream.COMPANIES):
        with pytest.raises(ZeroDivisionError), opened.working(stream, few):
            for so_far in (2, 4):
                opened.insert("known_companies", names)
                assert opened.run(COUNT).fetchall() == [(so_far,)]
            raise ZeroDivisionError
        assert opened.connection.execute(COUNT).fetchall() == [(0,)]


def test_a_batch_in_pieces_leaves_a_new_database(tmp_path: Path) -> None:
    opened = Database(BUDGET, tmp_path)
    first = opened.connection
    with opened.working(Stream.EVENTS, few=False, in_pieces=True):
        opened.insert("known_companies", {"company_id": ["one"]})
    assert opened.connection is not first
    assert opened.connection.execute(f"SET schema = 'events'; {COUNT}").fetchall() == [(0,)]


@pytest.mark.parametrize("count", [0, 1, database._LISTED_ROWS, database._LISTED_ROWS + 1])
def test_few_rows_are_written_as_many_are(tmp_path: Path, count: int) -> None:
    opened = Database(BUDGET, tmp_path)
    rows = [
        ("events", number, f"it's\0 \U0001f69a {number}", instant(number), instant(2**51), 1) for number in range(count)
    ]
    with opened.working(Stream.EVENTS, few=True):
        opened.insert("batches", {name: [row[place] for row in rows] for place, name in enumerate(BATCHES)})
        found = opened.run(f"SELECT * REPLACE ({INSTANTS}) FROM batches ORDER BY batch_number").fetchall()
    assert [(*row[:3], instant(row[3]), instant(row[4]), row[5]) for row in found] == rows


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("parts", [[], [[]], [[], ["a"]], [["a"], ["b", "c"]]])
def test_rows_come_in_parts(tmp_path: Path, few: bool, parts: list[list[str]]) -> None:
    opened = Database(BUDGET, tmp_path)
    with opened.working(Stream.EVENTS, few):
        with opened.shown("known_companies", KNOWN_COMPANIES, ({"company_id": part} for part in parts)):
            found = opened.run("FROM known_companies ORDER BY 1").fetchall()
        assert found == [(name,) for part in parts for name in part]


def test_each_stream_has_plans_and_tables_of_its_own(tmp_path: Path) -> None:
    opened = Database(BUDGET, tmp_path)
    for number in range(3):
        for stream in Stream:
            with opened.working(stream, few=True):
                opened.insert("known_companies", {"company_id": [f"{stream}-{number}", "it's"]})
                found = opened.run("SELECT company_id FROM known_companies WHERE company_id <> $name", {"name": "it's"})
                assert found.fetchall() == [(f"{stream}-{number}",)]
                found = opened.run("SELECT $count + count(*) FROM known_companies", {"count": number})
                assert found.fetchall() == [(number + 2,)]
    ((plans,),) = opened.connection.execute("SELECT count(*) FROM duckdb_prepared_statements()").fetchall()
    assert plans == 2 * len(Stream)


def test_a_new_one_has_nothing_of_the_one_before(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    (spill / "left_by_a_kill").touch()
    opened = Database(BUDGET, spill)
    assert not list(spill.glob("*"))
    passed(opened)
    opened.connection.execute("CREATE TABLE kept AS SELECT 1")
    before = opened.connection
    opened.renew()
    assert not opened.suits_few
    assert opened.connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'kept'").fetchone() == (
        0,
    )
    with pytest.raises(duckdb.ConnectionException):
        before.execute("SELECT 1")


@pytest.mark.parametrize("few", [True, False])
def test_between_passes_the_limit_is_set_anew_which_returns_what_was_freed(tmp_path: Path, few: bool) -> None:
    opened = Database(BUDGET, tmp_path)
    limit = setting(opened, "memory_limit")
    passed(opened, few)
    opened.connection.execute("SET memory_limit = '100MB'")
    opened.rest()
    assert setting(opened, "memory_limit") == limit


def test_what_fails_while_rows_are_shown_is_what_is_told(tmp_path: Path) -> None:
    opened = Database(BUDGET, tmp_path)
    rows = pa.table({"number": [1]})
    with (
        pytest.raises(duckdb.ConversionException),
        opened.working(Stream.EVENTS, few=False),
        registered(opened.connection, "shown_rows", rows),
    ):
        opened.run("SELECT 'no number'::INTEGER FROM shown_rows").fetchall()
    with opened.working(Stream.EVENTS, few=False), registered(opened.connection, "shown_rows", rows):
        assert opened.run("FROM shown_rows").fetchall() == [(1,)]
