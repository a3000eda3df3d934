"""What DuckDB sees of the lines of a pass, and who is told that none of them stands twice in its batch."""

from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.batches import shown_lines
from fleetgen.medallion.embedded.budget import Budget
from fleetgen.medallion.embedded.database import Database
from fleetgen.storage.layout import Layout
from support.bronze import published

BUDGET = Budget(memory=64_000_000, threads=1, lines=2000)


@pytest.mark.parametrize(
    ("contents", "stands_twice"),
    [
        ([b"a\nb\n", b"a\n"], False),
        ([b"a\n", b"b\na\nb\n"], True),
        ([b"a\na"], True),
        ([b"\xff\n\xff\n"], True),
        ([b"", b""], False),
    ],
)
@pytest.mark.parametrize("few", [True, False])
def test_lines_that_may_stand_twice_are_told(
    tmp_path: Path, contents: list[bytes], stands_twice: bool, few: bool
) -> None:
    layout = Layout(tmp_path / "data")
    entries = published(layout, contents)
    opened = Database(BUDGET, tmp_path / "spill")

    with (
        opened.working(Stream.EVENTS, few),
        shown_lines(opened, layout, Stream.EVENTS, entries, lambda: None) as may_repeat,
    ):
        ((count,),) = opened.run("SELECT count(*) FROM lines").fetchall()

    assert count == sum(len(content.splitlines()) for content in contents)
    assert may_repeat is (stands_twice or not few)
