"""What the quarantine says of some batches is what the whole table says of them, and a damaged table is named."""

import pytest
from deltalake import DeltaTable

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.rejections import rejections
from fleetgen.medallion.embedded.tables import DamagedTable
from fleetgen.medallion.silver import QUARANTINE
from fleetgen.storage.layout import Layout
from support.dirty_data import carry, dirty_dataset

SOME = {Stream.EVENTS: (3, 7), Stream.COMPANIES: (1, 4)}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A dataset whose batches are carried."""
    made = dirty_dataset(tmp_path_factory.mktemp("data"), 12)
    carry(made)
    return Layout(made.data)


def test_rejections_of_some_batches_are_those_of_the_table(layout: Layout) -> None:
    quarantine = DeltaTable(str(QUARANTINE.form.folder(layout)))
    whole = quarantine.to_pyarrow_table().to_pylist()

    found = rejections(layout, quarantine, SOME)

    expected = [
        (row["stream"], row["batch_id"], row["line"], row["rule"])
        for row in whole
        if SOME[Stream(row["stream"])][0] <= row["batch_number"] <= SOME[Stream(row["stream"])][1]
    ]
    assert sorted(found) == sorted(expected)
    assert 0 < len(found) < len(whole)
    assert {each.stream for each in found} == set(Stream)
    only_events = rejections(layout, quarantine, {Stream.EVENTS: SOME[Stream.EVENTS]})
    assert sorted(only_events) == sorted(each for each in found if each.stream == Stream.EVENTS)


def test_a_quarantine_that_cannot_be_read_is_named(layout: Layout) -> None:
    folder = QUARANTINE.form.folder(layout)
    quarantine = DeltaTable(str(folder))
    for file in folder.glob("*.parquet"):
        file.write_bytes(b"no Parquet")

    with pytest.raises(DamagedTable, match=f"{folder}.* remove that folder"):
        rejections(layout, quarantine, SOME)
