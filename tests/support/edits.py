"""Edits of the configuration while it is in use: in a simulation, where each process notices when it is told to, and
in a running set.
"""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetgen.config.loading import load
from fleetgen.domain.records import Segment, Stream, segment_of
from fleetgen.generation.checking import check
from fleetgen.generation.cleaning import clean
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.ledger import BatchEntry, GapEntry
from support.sets import RunningSet
from support.simulation import Simulation


class EditedSimulation(Simulation):
    """A simulation whose processes notice edits one by one."""

    def notice(self, *streams: Stream) -> None:
        """Let the processes of these streams notice what the file says now."""
        for stream in streams:
            self.makers[stream].follow_config()

    def segments(self) -> tuple[Segment, ...]:
        return self.dataset.segments(self.dataset.manifest())

    def pause(self) -> None:
        self._desire(paused=True, paused_at=self.clock.now())

    def resume(self) -> None:
        self._desire(paused=False, resumed_at=self.clock.now())

    def clean(self) -> None:
        """Pause, delete the dataset, and stay paused."""
        self.pause()
        clean(self.loaded.layout)

    def _desire(self, **changes: Any) -> None:
        with self.dataset.store.locked() as transaction:
            desired = transaction.manifest.desired.updated(**changes)
            transaction.save(transaction.manifest.updated(desired=desired))


def entries(dataset: Dataset, stream: Stream) -> list[BatchEntry | GapEntry]:
    """Return everything that was decided of a stream, in order."""
    return list(dataset.ledgers[stream].entries())


def assert_intervals_tile(dataset: Dataset, stream: Stream) -> None:
    """Each interval, batch or gap, begins where the one before it ended."""
    decided = entries(dataset, stream)
    assert decided
    assert [each.start for each in decided[1:]] == [each.end for each in decided[:-1]]


def assert_streams_enter_segments_as_recorded(dataset: Dataset) -> None:
    """Batch and company numbers at which each segment begins are those that the ledgers show."""
    segments = dataset.segments(dataset.manifest())
    for stream in Stream:
        batches = [each for each in entries(dataset, stream) if isinstance(each, BatchEntry)]
        assert [each.batch_number for each in batches] == list(range(len(batches)))
        for batch in batches:
            assert batch.segment == segment_of(segments, stream, batch.batch_number).number
        for segment in segments:
            before = [each for each in batches if each.segment < segment.number]
            assert len(before) == segment.first_batch(stream)
            if stream is Stream.COMPANIES:
                assert sum(each.record_count for each in before) == segment.first_company


def differences(dataset: Dataset) -> list[str]:
    """Return what checking everything finds."""
    return [str(each) for each in check(dataset, None)]


def dataset_of(running: RunningSet) -> Dataset:
    """Return the dataset of a running set, by the paths of its valid configuration."""
    return Dataset(load(running.config).layout)


def edit_slowly(file: Path, text: str, pause_seconds: float = 0.2) -> None:
    """Write a file as some editors do: empty it, and fill it a moment later."""
    with file.open("w") as opened:
        opened.flush()
        time.sleep(pause_seconds)
        opened.write(text)


def replace_by_rename(file: Path, text: str) -> None:
    """Write a file as other editors do: a new one, moved into its place."""
    written = file.with_name(f".{file.name}.swp")
    written.write_text(text)
    written.replace(file)


def told(running: RunningSet, process: str, sample: str) -> float | None:
    """Return the value of a sample of a process's metrics; None while it does not serve any."""
    with suppress(OSError):
        for line in running.metrics(process).splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
    return None


def lines_of_kind(running: RunningSet, process: str, kind: str) -> list[dict[str, Any]]:
    """Return the lines of a process's log that are of a kind."""
    return [line for line in whole_log(running, process) if line.get("kind") == kind]


def whole_log(running: RunningSet, process: str) -> list[dict[str, Any]]:
    """Return a process's log lines; the last one may be under way."""
    path = running.data / "manifests" / "logs" / f"{process}.jsonl"
    content = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith("\n")]
