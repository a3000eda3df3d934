"""A damaged batch behind whole passes: what these have put into the tables is acknowledged at once."""

from functools import partial
from io import StringIO
from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.carrier import Carrier
from fleetgen.medallion.embedded.budget import MEGABYTE, Budget
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.telemetry.logs import start_logging
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics
from support.delta_tables import batches, dirty

LINES, DAMAGED = 20, 4


def test_what_was_carried_before_a_damaged_batch_is_acknowledged_at_once(tmp_path: Path) -> None:
    # given batches of which each is a pass by itself, and a damaged one among them
    with dirty(tmp_path, 80, events_per_batch=f"{{ min = {LINES}, max = {LINES} }}") as simulation:
        layout = simulation.loaded.layout
        found = batches(layout, Stream.EVENTS)
        assert len(found) > DAMAGED + 1
        with (layout.batch(Stream.EVENTS, found[DAMAGED].batch_id) / "events.jsonl").open("ab") as file:
            file.write(b"junk\n")
        engines = partial(EmbeddedEngine, layout, beat=lambda: None, budget=Budget(64 * MEGABYTE, 1, LINES))
        said = StringIO()
        carrier = Carrier(
            layout, engines, simulation.clock, start_logging("pipeline", said), PipelineMetrics("emulated")
        )
        carrier.hold()

        # when it carries
        carrier.step(lambda: False)

        # then everybody knows how far it has come, and what holds it up
        known = simulation.dataset.manifest().consumers["pipeline"]
        assert known.has(Stream.EVENTS) == DAMAGED - 1
        assert found[DAMAGED].batch_id in said.getvalue()
        carrier.drop()
