"""A dataset whose two streams are made in one process under a clock that the test moves."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetgen.cadence.clock import LogicalClock
from fleetgen.config.loading import LoadedConfig, load
from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.generation.recording import CLOCK_KEYS

NOON = instant("2026-01-05T12:00:07.250000Z")
"""A first start in the middle of an interval."""

PRESETS = Path(__file__).parents[2] / "etc" / "presets"


class Simulation:
    """Both streams of one data directory; makers can be dropped and made anew, as by a restart."""

    def __init__(self, folder: Path, preset: str = "emulated", start: int = NOON, **changes: str) -> None:
        self.file = folder / "generator.toml"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PRESETS / f"{preset}.toml", self.file)
        self.edit(data='"data"', run='"run"', **changes)
        self.clock = LogicalClock(start)
        self.makers: dict[Stream, StreamMaker] = {}
        self.outcomes: list[Published | LeftOut] = []
        self.start()

    @property
    def loaded(self) -> LoadedConfig:
        return load(self.file)

    @property
    def dataset(self) -> Dataset:
        return Dataset(self.loaded.layout)

    def edit(self, **changes: str) -> None:
        """Replace the lines of these keys, whatever their table."""
        lines = self.file.read_text().splitlines()
        for key, value in changes.items():
            found = [place for place, line in enumerate(lines) if line.split("=")[0].strip() == key]
            assert found, key
            for place in found:
                lines[place] = f"{key} = {value}"
        self.file.write_text("\n".join(lines) + "\n")

    def start(self, *streams: Stream) -> None:
        """Start the processes of these streams, or of both."""
        for stream in streams or tuple(Stream):
            self.stop(stream)
            maker = StreamMaker(stream, Dataset(self.loaded.layout), self.clock, lambda: load(self.file).config)
            maker.hold()
            maker.recover()
            maker.follow_config()
            self.makers[stream] = maker

    def stop(self, *streams: Stream) -> None:
        """Stop the processes of these streams, or of both."""
        for stream in streams or tuple(Stream):
            if stream in self.makers:
                self.makers.pop(stream).release()

    def run_until(self, moment: int) -> list[Published | LeftOut]:
        """Let time pass up to an instant; return what was made or left out meanwhile."""
        made: list[Published | LeftOut] = []
        while True:
            waits: list[int] = []
            for maker in list(self.makers.values()):
                decision, again = maker.plan()
                if decision is None:
                    waits.append(again)
                elif (outcome := maker.perform(decision)) is not None:
                    made.append(outcome)
                    while maker.prune():
                        pass
            if len(waits) == len(self.makers):
                if not waits or min(waits) > moment:
                    self.clock.moment = max(self.clock.moment, moment)
                    break
                self.clock.moment = max(self.clock.moment, min(waits))
        self.outcomes += made
        return made

    def run_for(self, seconds: float) -> list[Published | LeftOut]:
        """Let so many seconds pass."""
        return self.run_until(self.clock.moment + int(seconds * SECOND))

    def metas(self, stream: Stream) -> list[dict[str, Any]]:
        """Return the metas of all published batches, in order of time, without the clock's keys."""
        return metas(self.loaded.layout.data, stream)


def metas(data: Path, stream: Stream) -> list[dict[str, Any]]:
    """Return the metas below a data directory, in order of time, without the clock's keys."""
    found = [json.loads(path.read_text()) for path in sorted((data / "raw" / stream).glob("*/batch_meta.json"))]
    return [{key: value for key, value in meta.items() if key not in CLOCK_KEYS} for meta in found]


def records(data: Path, stream: Stream) -> Iterator[dict[str, Any]]:
    """Yield all published records of a stream, in order of time."""
    for path in sorted((data / "raw" / stream).glob(f"*/{stream}*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


@contextmanager
def simulated(folder: Path, **options: Any) -> Iterator[Simulation]:
    """A simulation that lets go of its streams in the end."""
    simulation = Simulation(folder, **options)
    try:
        yield simulation
    finally:
        simulation.stop()
