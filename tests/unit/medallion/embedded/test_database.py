"""The DuckDB of an engine: it suits what a pass asks for, and begins anew with nothing in memory or on the disk."""

from pathlib import Path

import duckdb
import pytest

from fleetgen.medallion.embedded import database
from fleetgen.medallion.embedded.budget import Budget
from fleetgen.medallion.embedded.database import Database

BUDGET = Budget(memory=64_000_000, threads=2, lines=2000)


def setting(opened: Database, name: str) -> object:
    (value,) = opened.connection.execute(f"SELECT current_setting('{name}')").fetchall()
    return value[0]


def test_few_lines_get_one_thread_and_many_get_all(tmp_path: Path) -> None:
    opened = Database(BUDGET, tmp_path)
    assert setting(opened, "threads") == 2
    for few, threads in ((True, 1), (True, 1), (False, 2)):
        opened.suit(few)
        assert (opened.suits_few, setting(opened, "threads")) == (few, threads)


def test_it_rests_as_it_is_until_there_were_many_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PASSES", 3)
    opened = Database(BUDGET, tmp_path)
    first = opened.connection
    for _ in range(3):
        opened.rest()
        assert opened.connection is first
        opened.end_pass()
    opened.rest()
    assert opened.connection is not first
    second = opened.connection
    opened.end_pass()
    opened.rest()
    assert opened.connection is second


def test_a_new_one_has_nothing_of_the_one_before(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    (spill / "left_by_a_kill").touch()
    opened = Database(BUDGET, spill)
    assert not list(spill.glob("*"))
    opened.suit(few=True)
    opened.connection.execute("CREATE TABLE kept AS SELECT 1")
    before = opened.connection
    opened.renew()
    assert not opened.suits_few
    assert opened.connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
    with pytest.raises(duckdb.ConnectionException):
        before.execute("SELECT 1")
