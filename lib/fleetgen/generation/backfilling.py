"""Owns history at full speed: the batches that a set would have made, in order, without waiting for their time.

Schedule and bytes are those of a live set. Batches may be made ahead by others, see `making`; they are committed in
rounds, in their order: see `rounds`.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

from fleetgen.cadence.clock import LogicalClock
from fleetgen.cadence.schedule import floor, next_interval
from fleetgen.config.model import Config
from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.errors import DatasetChanged, FleetgenError, UsageError
from fleetgen.generation import deriving
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.generation.making import Makers, local_makers
from fleetgen.generation.rounds import ROUND_BATCHES, commit, in_rounds
from fleetgen.generation.staging import Placed, Staged
from fleetgen.storage.layout import Layout
from fleetgen.storage.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Span:
    """What to fill: up to an instant, or so many driver intervals; ``start`` matters to an empty dataset alone."""

    start: int | None
    until: int | None
    batches: int | None


class Backfill:
    """Holds both streams of a dataset and makes their history."""

    def __init__(self, layout: Layout, config: Config, span: Span, now: int) -> None:
        self.dataset = Dataset(layout)
        self._config = config
        self._span = span
        self._now = now
        self._clock = LogicalClock(now)
        self._makers = {stream: StreamMaker(stream, self.dataset, self._clock, lambda: config) for stream in Stream}
        self._stack = ExitStack()

    def __enter__(self) -> "Backfill":
        for maker in self._makers.values():
            maker.hold()
            self._stack.callback(maker.release)
        for maker in self._makers.values():
            maker.recover()
            self._stack.enter_context(maker.writing())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def is_empty(self) -> bool:
        """Whether the dataset has not begun."""
        manifest = self.dataset.read()
        return manifest is None or manifest.origin is None

    def start_at(self, moment: int) -> None:
        """Let an empty dataset begin at this instant."""
        self._span = replace(self._span, start=moment)

    def begin(self) -> int:
        """Begin an empty dataset, or find where the present one ends; return the instant to fill up to."""
        self._refuse_the_future()
        manifest = self.dataset.read()
        if manifest is not None and manifest.desired.paused:
            raise UsageError("The dataset is paused: resume it first with `fleetgen resume`.")
        if manifest is None or manifest.origin is None:
            manifest = self._begin_empty()
        elif self._span.start not in (None, manifest.origin):
            raise UsageError(
                f"The dataset began at {iso(manifest.origin)}: history goes on from its end, so leave --from out."
            )
        else:
            self._clock.moment = max(manifest.head(stream).stands_at for stream in Stream)
            manifest = self._makers[Stream.EVENTS].follow_config()
        return self._end(manifest)

    def _refuse_the_future(self) -> None:
        start, until = self._span.start, self._span.until
        for moment in (start, until):
            if moment is not None and moment > self._now:
                raise UsageError(f"{iso(moment)} lies in the future: history ends now at the latest.")
        if start is not None and self._span.batches is not None:
            step = self._config.settings(0).driver_interval_seconds * SECOND
            end = floor(start, step) + (self._span.batches - 1) * step
            if end > self._now:
                raise UsageError("So many batches reach into the future: history ends now at the latest.")
        if start is not None and until is not None and until < start:
            raise UsageError(f"--until {iso(until)} lies before --from {iso(start)}.")

    def stands_at(self) -> int:
        """Return the instant at which the dataset's events end."""
        return self.dataset.manifest().head(Stream.EVENTS).stands_at

    def batches_up_to(self, end: int) -> int:
        """Return about how many batches are missing up to an instant, for a progress bar."""
        manifest = self.dataset.manifest()
        return sum(
            max(0, end - manifest.head(stream).stands_at) // self.dataset.grid(manifest, stream).step
            for stream in Stream
        )

    def fill(self, end: int, jobs: int, start_worker: Callable[[], None]) -> Iterator[Staged]:
        """Make and commit every batch that is due by an instant; yield each one after its commit."""
        return self.fill_by(end, local_makers(jobs, start_worker))

    def fill_by(self, end: int, makers: Makers) -> Iterator[Staged]:
        """Let somebody make every batch that is due by an instant, and commit it; yield each one after its commit."""
        manifest = self.dataset.manifest()
        placed = self._placed(self.planned(manifest, end), makers.ahead)
        yield from self._published(manifest.dataset_id, makers.staged(placed))
        deriving.put_right(self.dataset)

    def _placed(self, planned: Iterator[BatchInputs], ahead: int) -> Iterator[Placed]:
        """Yield each batch's inputs with a staging folder that no other batch has until this one is published."""
        for number, inputs in enumerate(planned):
            yield self.dataset.layout.staged(inputs.stream, number % (ROUND_BATCHES + ahead)), inputs

    def _published(self, dataset_id: str, staged: Iterator[Staged]) -> Iterator[Staged]:
        for batches in in_rounds(staged):
            try:
                commit(self.dataset, dataset_id, self._makers, batches)
            except DatasetChanged as fault:
                raise FleetgenError(
                    "The dataset was paused or cleaned meanwhile; what was made before is kept. Resume, then call again to go on."
                ) from fault
            yield from batches

    def _begin_empty(self) -> Manifest:
        if self._span.start is None:
            raise UsageError("The dataset is empty: say with --from at which instant its history begins.")
        self._clock.moment = self._span.start
        with self.dataset.store.locked() as transaction:
            return self._makers[Stream.EVENTS].begin(transaction)

    def _end(self, manifest: Manifest) -> int:
        end = self._span.until if self._span.until is not None else self._now
        if self._span.batches is not None:
            end = self._end_of_batches(manifest, self._span.batches)
        if end > self._now:
            raise UsageError(f"{iso(end)} lies in the future: history ends now at the latest.")
        return end

    def _end_of_batches(self, manifest: Manifest, count: int) -> int:
        """Return the end of the so-manieth driver interval, counted from the origin if that was named again."""
        grid = self.dataset.grid(manifest, Stream.EVENTS)
        stands_at = manifest.head(Stream.EVENTS).stands_at
        if self._span.start is not None and grid.origin is not None:
            stands_at = grid.origin.start
        return next_interval(stands_at, grid).end + (count - 1) * grid.step

    def planned(self, manifest: Manifest, end: int) -> Iterator[BatchInputs]:
        """Yield the inputs of every batch that is due by an instant, in the order of their dues."""
        segments = self.dataset.segments(manifest)
        grids = {stream: self.dataset.grid(manifest, stream) for stream in Stream}
        stands_at = {stream: manifest.head(stream).stands_at for stream in Stream}
        numbers = {stream: manifest.head(stream).next_batch for stream in Stream}
        companies = manifest.head(Stream.COMPANIES).next_company
        recorded_until = stands_at[Stream.COMPANIES]
        registered = deque([(recorded_until, companies)])
        while True:
            due = {stream: next_interval(stands_at[stream], grids[stream]) for stream in Stream}
            stream = min(Stream, key=lambda each: (due[each].end, each))
            interval = due[stream]
            if interval.end > end:
                return
            if stream is Stream.COMPANIES:
                companies += segments[-1].settings.companies_per_batch
                registered.append((interval.end, companies))
                count = companies
            elif interval.start < recorded_until:
                count = self.dataset.companies_in_reach(manifest, interval.start)
            else:
                while len(registered) > 1 and registered[1][0] <= interval.start:
                    registered.popleft()
                count = registered[0][1]
            yield BatchInputs(stream, numbers[stream], interval, segments[-1], segments, count)
            stands_at[stream] = interval.end
            numbers[stream] += 1


def default_start(config: Config, now: int, batches: int) -> int:
    """Return the first start at which so many driver intervals have ended by now."""
    step = config.settings(0).driver_interval_seconds * SECOND
    return now - (batches - 1) * step
