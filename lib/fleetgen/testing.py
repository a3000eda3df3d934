"""Owns what people's own test suites need: a folder with dirty batches, and the score of what a pipeline made of it.

No process, no port, and no other packages than the core's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import parse
from fleetgen.config.model import Config
from fleetgen.config.presets import preset_text
from fleetgen.config.tables.dataset import QualityTable
from fleetgen.domain.records import Stream, instant
from fleetgen.errors import UsageError
from fleetgen.generation.at_once import write_at_once
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.dataset import Dataset
from fleetgen.scoring import Choice, Score, score
from fleetgen.scoring.scoring import Sources
from fleetgen.storage.bronze import part_name
from fleetgen.storage.layout import Layout

_PRESET = "quality-demo"
_START = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class DirtyBatch:
    """One published batch."""

    stream: str
    batch_id: str
    interval_start: int
    """Microseconds since the epoch; the interval is ``[start, end)``."""
    interval_end: int
    files: tuple[Path, ...]
    """JSON Lines, in order."""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line with its number, from 1 over all files."""
        number = 0
        for file in self.files:
            with file.open(encoding="utf-8", newline="\n") as opened:
                for line in opened:
                    number += 1
                    yield number, line.rstrip("\n")


@dataclass(frozen=True, slots=True)
class DirtyBatches:
    """A data directory with dirty batches of both streams, laid out as a set lays it out."""

    data: Path

    def batches(self, stream: str) -> Iterator[DirtyBatch]:
        """Yield the batches of ``companies`` or ``events``, oldest first."""
        of = Stream(stream)
        layout = Layout(self.data)
        for entry in Dataset(layout).ledgers[of].batches():
            names = [part_name(of, number, entry.parts) for number in range(max(1, entry.parts))]
            files = tuple(layout.batch(of, entry.batch_id) / name for name in names)
            yield DirtyBatch(of.value, entry.batch_id, entry.interval.start, entry.interval.end, files)

    def score(
        self, quarantine: Sources | None = None, accepted: Sources | None = None, stream: str | None = None
    ) -> Score:
        """Return how well a pipeline rejects, as `fleetgen.scoring.score` does; over one stream if it is named."""
        choice = Choice() if stream is None else Choice((Stream(stream),))
        return score(self.data, quarantine, accepted, choice)


def dirty_batches(folder: Path | str, batches: int = 100, seed: int = 42, error_rate: float = 0.15) -> DirtyBatches:
    """Make so many dirty batches of each stream in a folder's ``data``, the same for the same arguments.

    A batch is ten seconds of the preset `quality-demo`: ten companies, or 5 to 20 events. ``error_rate`` is the share of
    records that get an issue. Raises UsageError for a rate that is none, and for so many batches that they would reach
    into the future.
    """
    if not 0 <= error_rate <= 1:
        raise UsageError(f"error_rate = {error_rate!r} is no share: give a number from 0 to 1.")
    layout = Layout(Path(folder) / "data")
    span = Span(instant(_START), None, batches)
    with Backfill(layout, _config(seed, error_rate), span, system_now()) as history:
        write_at_once(history)
    return DirtyBatches(layout.data)


def _config(seed: int, error_rate: float) -> Config:
    preset = parse(preset_text(_PRESET), Path(f"{_PRESET}.toml"))
    quality = preset.quality.model_dump() | {"event_error_rate": error_rate, "company_error_rate": error_rate}
    return preset.model_copy(update={"seed": seed, "quality": QualityTable.model_validate(quality)})
