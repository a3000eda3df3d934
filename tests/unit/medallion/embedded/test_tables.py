"""Delta tables with one writer: what a commit carries, to whom a table belongs, and what keeps it small."""

from pathlib import Path

import pyarrow as pa
import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import SystemLacks
from fleetgen.medallion.embedded.tables import DamagedTable, Table, load, open_table
from fleetgen.medallion.embedded.upkeep import DUE_COMMITS, Upkeep
from fleetgen.medallion.forms import TableForm
from fleetgen.storage.layout import Layout

FORM = TableForm("counts", "gold", pa.schema([("batch_number", pa.int64()), ("name", pa.string())]), tuple(Stream))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data")


def opened(layout: Layout, dataset: str = "one") -> Table:
    return open_table(FORM, layout, dataset, keep_seconds=0)


def rows(*numbers: int, name: str = "a") -> pa.Table:
    return pa.table({"batch_number": list(numbers), "name": [name] * len(numbers)}, schema=FORM.schema)


def numbers_in(layout: Layout) -> list[int]:
    return sorted(opened(layout).rows()["batch_number"].to_pylist())


def test_a_commit_says_which_batch_of_which_stream_was_the_last(layout: Layout) -> None:
    table = opened(layout)
    assert [table.last_batch(stream) for stream in Stream] == [-1, -1]
    table.append(rows(0, 1), Stream.EVENTS, 1)
    table.append(rows(0), Stream.COMPANIES, 0)
    table.append(rows(), Stream.EVENTS, 7)
    again = opened(layout)
    assert (again.last_batch(Stream.EVENTS), again.last_batch(Stream.COMPANIES)) == (7, 0)
    assert numbers_in(layout) == [0, 0, 1]


def test_rows_take_the_place_of_all_or_of_those_that_are_named(layout: Layout) -> None:
    table = opened(layout)
    table.append(rows(1, 2, 3), Stream.EVENTS, 3)
    table.replace(rows(2, name="b"), Stream.EVENTS, 4, "batch_number = 2")
    assert numbers_in(layout) == [1, 2, 3]
    table.replace(rows(9), Stream.EVENTS, 5)
    assert numbers_in(layout) == [9]


def test_deleting_twice_does_no_harm(layout: Layout) -> None:
    table = opened(layout)
    table.append(rows(1, 2), Stream.EVENTS, 2)
    for _ in range(2):
        table.delete("batch_number = 1")
    assert numbers_in(layout) == [2]


def test_a_table_of_another_dataset_is_made_anew(layout: Layout) -> None:
    opened(layout).append(rows(1), Stream.EVENTS, 1)
    other = opened(layout, "another")
    assert other.last_batch(Stream.EVENTS) == -1
    assert other.rows().num_rows == 0


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
    upkeep = Upkeep((table,))
    for number in range(DUE_COMMITS - 1):
        table.append(rows(number), Stream.EVENTS, number)
    assert not upkeep.perform()
    table.append(rows(DUE_COMMITS - 1), Stream.EVENTS, DUE_COMMITS - 1)
    assert len(table.delta.file_uris()) == DUE_COMMITS
    assert upkeep.perform()
    assert len(table.delta.file_uris()) == 1
    assert not upkeep.perform()
    assert numbers_in(layout) == list(range(DUE_COMMITS))
    assert opened(layout).last_batch(Stream.EVENTS) == DUE_COMMITS - 1
    assert not Upkeep((opened(layout),)).perform()  # whoever opens it next knows that it was kept up
