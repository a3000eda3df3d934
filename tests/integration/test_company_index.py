"""Which companies silver knows, on disk: it follows from the tables whatever becomes of it, and nobody reads it whole."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.companies import DamagedIndex
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.storage.layout import Layout
from support.delta_tables import batches, contents, dirty, engine, follow

HALF = 10


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A dirty dataset, carried by half: events first, so that each new company was an unknown one before. To be copied."""
    with dirty(tmp_path_factory.mktemp("bronze"), 200) as simulation:
        layout = simulation.dataset.layout
    carrier = engine(layout)
    carrier.carry(Stream.EVENTS, batches(layout, Stream.EVENTS)[:HALF])
    carrier.carry(Stream.COMPANIES, batches(layout, Stream.COMPANIES)[: HALF // 2])
    carrier.close()
    return layout


@pytest.fixture
def layout(half: Layout, tmp_path: Path) -> Layout:
    shutil.copytree(half.data, tmp_path / "data")
    return Layout(tmp_path / "data")


@pytest.fixture(scope="module")
def undisturbed(half: Layout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    folder = tmp_path_factory.mktemp("undisturbed") / "data"
    shutil.copytree(half.data, folder, ignore=shutil.ignore_patterns("staged", "processed", ".index"))
    follow(Layout(folder), engine(Layout(folder)), most=1000)
    return contents(Layout(folder))


def _removed(path: Path) -> None:
    path.unlink()


def _no_database(path: Path) -> None:
    path.write_bytes(b"\x00 this is no database " * 300)


def _without_companies(path: Path) -> None:
    with sqlite3.connect(path) as index:
        index.execute("DROP TABLE companies")


def _begun_and_killed(path: Path) -> None:
    with sqlite3.connect(path) as index:
        index.execute("DELETE FROM facts")


def _of_other_tables(path: Path) -> None:
    with sqlite3.connect(path) as index:
        index.execute("UPDATE facts SET value = 'others' WHERE name = 'made_from'")
        index.execute("UPDATE companies SET is_known = 1 - is_known")


def _ahead_of_the_tables(path: Path) -> None:
    """As after a power cut that took the last commit of a table."""
    with sqlite3.connect(path) as index:
        index.execute("UPDATE facts SET value = 99 WHERE name = 'companies'")
        index.execute("UPDATE companies SET is_known = 1")


def _behind_the_tables(path: Path) -> None:
    """As after a power cut that took the index's last commits."""
    with sqlite3.connect(path) as index:
        index.execute("UPDATE facts SET value = -1 WHERE name <> 'made_from'")
        index.execute("DELETE FROM companies")


@pytest.mark.parametrize(
    "harm",
    [
        _removed,
        _no_database,
        _without_companies,
        _begun_and_killed,
        _of_other_tables,
        _ahead_of_the_tables,
        _behind_the_tables,
    ],
)
def test_the_tables_end_as_an_undisturbed_run_s(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]], harm: Callable[[Path], None]
) -> None:
    harm(layout.company_index)
    follow(layout, engine(layout), Stream.EVENTS)
    assert contents(layout) == undisturbed


def test_an_index_that_is_damaged_while_it_is_used_is_named_and_made_anew(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    carrier = engine(layout)
    _without_companies(layout.company_index)
    with pytest.raises(DamagedIndex, match=r"companies.sqlite was damaged .*; it was removed, and is made anew"):
        carrier.carry(Stream.EVENTS, batches(layout, Stream.EVENTS)[HALF:])
    follow(layout, engine(layout))
    assert contents(layout) == undisturbed


def test_a_company_that_arrived_before_a_kill_leaves_nothing_behind(
    layout: Layout, undisturbed: dict[str, list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given silver with new companies, and a kill before anything else of them was done
    carrier = engine(layout)
    monkeypatch.setattr(carrier, "_companies", None)
    with pytest.raises(AttributeError):
        carrier.carry(Stream.COMPANIES, batches(layout, Stream.COMPANIES)[HALF // 2 :])
    monkeypatch.undo()
    follow(layout, engine(layout), Stream.EVENTS)
    assert contents(layout) == undisturbed


def test_a_start_and_a_batch_read_no_companies_from_silver(layout: Layout) -> None:
    # given a table of companies whose rows nobody could read
    for file in (layout.silver / "companies").rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    carrier: EmbeddedEngine = engine(layout)
    carrier.carry(Stream.EVENTS, batches(layout, Stream.EVENTS)[HALF:])
    assert carrier.next_batch(Stream.EVENTS) == len(batches(layout, Stream.EVENTS))
