"""Delta tables with one writer: what a commit carries, to whom a table belongs, and what keeps it small."""

import os
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from fleetgen.domain.records import Stream
from fleetgen.errors import SystemLacks
from fleetgen.medallion.embedded.commits import DataFile, ForeignCommit
from fleetgen.medallion.embedded.files import write_rows
from fleetgen.medallion.embedded.reading import FORMS
from fleetgen.medallion.embedded.tables import DamagedTable, Table, load, open_table, to_be_joined
from fleetgen.medallion.embedded.upkeep import DUE_COMMITS, Upkeep
from fleetgen.medallion.forms import COUNT, TEXT, TableForm
from fleetgen.medallion.gold import DELIVERIES
from fleetgen.storage.layout import Layout

FORM = TableForm("counts", "gold", {"batch_number": COUNT, "name": TEXT}, tuple(Stream))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data")


def opened(layout: Layout, dataset: str = "one") -> Table:
    return open_table(FORM, layout, dataset, keep_seconds=0)


def written(table: Table, *numbers: int) -> list[DataFile]:
    """Return the files of a table's next commit: one with a row for each number, or none."""
    with duckdb.connect() as connection:
        values = "SELECT unnest($numbers)::BIGINT AS batch_number, 'a' AS name"
        return write_rows(connection.execute, values, {"numbers": numbers}, table.form, table.folder, table.next_name)


def numbers_in(layout: Layout) -> list[int]:
    """Return the rows as any reader of Delta tables finds them."""
    delta = load(FORM.folder(layout))
    assert delta is not None
    return sorted(delta.to_pyarrow_table()["batch_number"].to_pylist())


def shown(table: Table) -> list[int]:
    """Return the rows as the table itself shows them."""
    with duckdb.connect() as connection:
        return sorted(number for number, _ in connection.execute(table.rows()).fetchall())


def test_a_commit_says_which_batch_of_which_stream_was_the_last(layout: Layout) -> None:
    table = opened(layout)
    assert [table.last_batch(stream) for stream in Stream] == [-1, -1]
    table.append(written(table, 0, 1), Stream.EVENTS, 1)
    table.append(written(table, 0), Stream.COMPANIES, 0)
    table.append(written(table), Stream.EVENTS, 7)
    again = opened(layout)
    for each in (table, again):
        assert (each.last_batch(Stream.EVENTS), each.last_batch(Stream.COMPANIES)) == (7, 0)
        assert shown(each) == numbers_in(layout) == [0, 0, 1]


def test_each_commit_is_a_file_of_its_own_that_stays_as_it_is(layout: Layout) -> None:
    table = opened(layout)
    found = []
    for number in range(3):
        table.append(written(table, number), Stream.EVENTS, number)
        found.append((FORM.folder(layout) / "_delta_log" / f"{number + 1:020d}.json").read_text())
    assert [f'"version":{number}}}' in content for number, content in enumerate(found)] == [True] * 3
    assert [path.read_text() for path in sorted((FORM.folder(layout) / "_delta_log").glob("*.json"))][1:] == found


@pytest.mark.parametrize("links", [True, False])
def test_a_kill_between_the_two_names_of_a_commit_does_no_harm(layout: Layout, links: bool) -> None:
    # given a commit whose content still has its first name
    table = Table(FORM, FORM.folder(layout), opened(layout).delta, links)
    table.append(written(table, 0), Stream.EVENTS, 0)
    log = FORM.folder(layout) / "_delta_log"
    os.link(log / f"{1:020d}.json", log / "_commit.json.tmp")
    # when the next one is made
    table.append(written(table, 1), Stream.EVENTS, 1)
    # then both are there
    assert numbers_in(layout) == [0, 1]
    assert not (log / "_commit.json.tmp").exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_version_that_another_program_has_made_is_never_replaced(layout: Layout, links: bool) -> None:
    ours = Table(FORM, FORM.folder(layout), opened(layout).delta, links)
    theirs = opened(layout)
    theirs.append(written(theirs, 5), Stream.EVENTS, 5)
    with pytest.raises(ForeignCommit, match=r"0{19}1.json was written by another program"):
        ours.append([], Stream.EVENTS, 6)
    assert numbers_in(layout) == [5]
    assert opened(layout).last_batch(Stream.EVENTS) == 5


def test_rows_take_the_place_of_all_others(layout: Layout) -> None:
    table = opened(layout)
    for numbers in ([1, 2, 3], [9], []):
        table.replace(written(table, *numbers), Stream.EVENTS, len(numbers))
        assert shown(table) == numbers_in(layout) == numbers


def test_rows_of_some_days_take_the_place_of_theirs_alone(layout: Layout) -> None:
    form = DELIVERIES.form
    table = open_table(form, layout, "one")

    def days(*rows: tuple[int, int]) -> list[DataFile]:
        values = " UNION ALL ".join(
            f"SELECT DATE '2026-01-01' + {day} AS day, 'a' AS company_id, {count}::BIGINT AS deliveries"
            for day, count in rows
        )
        with duckdb.connect() as connection:
            return write_rows(connection.execute, values, {}, form, table.folder, table.next_name)

    table.append(days((0, 1), (1, 1)), Stream.EVENTS, 0)
    table.replace(days((1, 5), (2, 5)), Stream.EVENTS, 1, [date(2026, 1, 2), date(2026, 1, 3)])
    for each in (table, open_table(form, layout, "one")):
        with duckdb.connect() as connection:
            assert sorted(connection.execute(each.rows()).fetchall()) == [
                (date(2026, 1, 1), "a", 1),
                (date(2026, 1, 2), "a", 5),
                (date(2026, 1, 3), "a", 5),
            ]
            assert len(connection.execute(each.rows([date(2026, 1, 3)])).fetchall()) == 1


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_files_have_the_columns_that_the_table_declares(layout: Layout, form: TableForm) -> None:
    table = open_table(form, layout, "one")
    with duckdb.connect() as connection:
        rows = connection.sql(table.rows()).to_arrow_table()
        row = ", ".join(
            f"NULL::{kind} AS {name}"
            for name, kind in zip(rows.column_names, connection.sql(table.rows()).types, strict=True)
        )
        table.append(
            write_rows(connection.execute, f"SELECT {row}", {}, form, table.folder, table.next_name), form.streams[0], 0
        )
    delta = load(form.folder(layout))
    assert delta is not None
    assert delta.to_pyarrow_table().schema == form.schema
    (file,) = delta.file_uris()
    assert parquet.read_schema(file) == pa.schema(
        [form.schema.field(name) for name in form.schema.names if name not in form.partition_by]
    )


def test_deleting_twice_does_no_harm(layout: Layout) -> None:
    table = opened(layout)
    table.append(written(table, 1, 2), Stream.EVENTS, 2)
    for _ in range(2):
        table.delete("batch_number = 1")
        assert shown(table) == numbers_in(layout) == [2]
    table.append(written(table, 3), Stream.EVENTS, 3)
    assert numbers_in(layout) == [2, 3]


def test_a_table_of_another_dataset_is_made_anew(layout: Layout) -> None:
    table = opened(layout)
    table.append(written(table, 1), Stream.EVENTS, 1)
    other = opened(layout, "another")
    assert other.last_batch(Stream.EVENTS) == -1
    assert shown(other) == []


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_table_is_named_with_what_helps(layout: Layout, content: str) -> None:
    opened(layout)
    (FORM.folder(layout) / "_delta_log" / f"{0:020d}.json").write_text(content)
    with pytest.raises(DamagedTable, match=r"processed/counts cannot be read .* remove that folder"):
        load(FORM.folder(layout))


def test_a_folder_without_a_table_has_none(layout: Layout, tmp_path: Path) -> None:
    assert load(FORM.folder(layout)) is None
    assert load(tmp_path) is None


def test_a_path_that_delta_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemLacks, match="has '%41' in it"):
        open_table(FORM, Layout(tmp_path / "a%41b"), "one")


def test_upkeep_is_due_after_so_many_commits_and_makes_few_files_of_many(layout: Layout) -> None:
    table = opened(layout)
    upkeep, connection = Upkeep((table,)), duckdb.connect()
    for number in range(DUE_COMMITS - 1):
        table.append(written(table, number), Stream.EVENTS, number)
    assert not upkeep.perform(connection)
    table.append(written(table, DUE_COMMITS - 1), Stream.EVENTS, DUE_COMMITS - 1)
    assert len(table.files) == DUE_COMMITS
    (table.folder / "_begun.parquet").write_bytes(b"what a kill left")
    assert upkeep.perform(connection)
    assert len(table.files) == 1
    assert not list(table.folder.glob("_begun*"))
    assert not upkeep.perform(connection)
    assert numbers_in(layout) == list(range(DUE_COMMITS))
    assert opened(layout).last_batch(Stream.EVENTS) == DUE_COMMITS - 1
    assert not Upkeep((opened(layout),)).perform(connection)  # whoever opens it next knows that it was kept up


def test_a_row_is_copied_a_few_times_on_its_way_into_a_large_file() -> None:
    # given a table that gets thirty small files between two compactions, and becomes as large as six files of the target
    target, small, copied, most = 16 << 20, 6000, 0, 0
    files: list[DataFile] = []
    rounds = 6 * target // (30 * small)
    for number in range(rounds):
        files += [DataFile(f"{number}-{place}", small) for place in range(30)]
        most = max(most, len(files))
        for group, joined in enumerate(to_be_joined(files, target)):
            copied += sum(file.size_bytes for file in joined)
            together = DataFile(f"{number}-joined-{group}", sum(file.size_bytes for file in joined))
            files = [file for file in files if file not in joined] + [together]
    # then what was copied is a small multiple of what there is, and the files are few
    assert sum(file.size_bytes for file in files) == rounds * 30 * small
    assert copied < 5 * rounds * 30 * small
    assert most < 70
    assert sum(file.size_bytes >= target // 2 for file in files) >= 5
