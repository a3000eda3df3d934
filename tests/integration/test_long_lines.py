"""A backlog of long lines is carried in the memory that fleetgen's own lines take."""

from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.budget import MEGABYTE, Budget
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.storage.layout import Layout
from support.bronze import published
from support.delta_tables import DATASET
from support.nasty_lines import event

BATCHES, LINES, PADDING = 500, 40, 1500


def test_a_backlog_of_long_lines_fits_into_memory(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    padding = b',"padding":"' + b"x" * PADDING + b'"}'
    contents = [
        b"".join(event(batch * LINES + line)[:-1] + padding + b"\n" for line in range(LINES))
        for batch in range(BATCHES)
    ]
    engine = EmbeddedEngine(layout, DATASET, lambda: None, budget=Budget(64 * MEGABYTE, 1, 32_000))

    carried = engine.carry(Stream.EVENTS, published(layout, contents))

    engine.close()
    assert carried.outcomes == {"quarantined": BATCHES * LINES}
    assert carried.batches == BATCHES
