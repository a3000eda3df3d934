"""Owns following the published batches: what is due is carried by the engine, acknowledged in the manifest, and told.

How a batch gets into the tables is the engine's, and what a damaged one holds up is `holding`'s. One carrier makes the
tables of a data directory at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from fleetgen.cadence.clock import Clock
from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import SECOND, Stream
from fleetgen.errors import HeldByAnother
from fleetgen.generation import lifecycle
from fleetgen.generation.dataset import Dataset
from fleetgen.medallion.carrying.engine import Carried, Engine, Totals
from fleetgen.medallion.carrying.holding import Holding
from fleetgen.medallion.carrying.order import PASS_BATCHES
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.locks import FileLock
from fleetgen.storage.manifest import Latencies, Manifest, Outcome, ScoreTold
from fleetgen.storage.progress import Progress, unwatched
from fleetgen.storage.pruning import pruned_before
from fleetgen.telemetry.logs import Logger
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics


class Carrier:
    """Carries the batches of one data directory from bronze into the tables, and acknowledges them."""

    def __init__(
        self,
        layout: Layout,
        open_engine: Callable[[str], Engine],
        clock: Clock,
        log: Logger,
        metrics: PipelineMetrics,
        progress: Progress = unwatched,
    ) -> None:
        self.layout, self.log, self.metrics, self.clock = layout, log, metrics, clock
        self.holding = Holding()
        self.tries_again = True
        """Whether somebody calls `step` again after a damaged batch, for what is said of it."""
        self._open_engine = open_engine
        self._dataset = Dataset(layout, progress)
        self._holder = FileLock(layout.tables_holder_lock)
        self._writer = FileLock(layout.tables_lock)
        self._engine: Engine | None = None
        self._dataset_id: str | None = None
        self._totals = Totals()
        self._counted = dict.fromkeys(Stream, -1)
        self._told_pruned: dict[Stream, int] = {}
        self._in_force: tuple[str, int] | None = None
        self._score: ScoreTold | None = None

    def hold(self) -> None:
        """Become the one who makes these tables, and be waited for; raise HeldByAnother naming the process that does.

        After NotYet it is called again.
        """
        try:
            self._holder.hold()
        except HeldByAnother as fault:
            raise HeldByAnother(
                f"The tables of {self.layout.data} are already made by {self._holder.holder()}: stop that one, or give "
                "this one another paths.data."
            ) from fault
        lifecycle.register(self._dataset, OWN_PIPELINE)

    def step(self, interrupted: Callable[[], bool]) -> bool:
        """Carry some batches of each stream; return whether there may be more to do."""
        manifest = self._dataset.store.read()
        if manifest is None or manifest.origin is None:
            self.metrics.records({})
            return False
        self._follow_mode(manifest)
        if manifest.dataset_id == self._dataset_id and not any(self._is_due(manifest, stream) for stream in Stream):
            return False
        with self._writer.held(interrupted=interrupted):
            manifest = self._dataset.manifest()
            if manifest.origin is None:
                return False
            engine = self._engine_of(manifest)
            for stream in Stream:
                if self._is_due(manifest, stream):
                    self._try(engine, manifest, stream)
            engine.maintain()
        return True

    def steps(self, interrupted: Callable[[], bool]) -> Iterator[tuple[int, int]]:
        """Carry until there is no more to do; yield before and after each step how many batches of how many are carried."""
        yield self._come()
        while self.step(interrupted):
            yield self._come()

    def _come(self) -> tuple[int, int]:
        """Return how many batches are in the tables, or counted as pruned before, and how many are published."""
        manifest = self._dataset.manifest()
        if self._engine is None and manifest.origin is not None:
            with self._writer.held():
                self._engine_of(manifest)
        carried = sum(self._engine.next_batch(stream) for stream in Stream) if self._engine else 0
        return carried, sum(manifest.head(stream).next_batch for stream in Stream)

    def drop(self) -> None:
        """Let go of the tables: they are opened anew afterwards."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._dataset_id = None

    def tell_score(self, score: ScoreTold) -> None:
        """Let others know how well the batches were judged; nothing is told of a dataset that was cleaned meanwhile."""
        manifest = self._dataset.manifest()
        if manifest.dataset_id == self._dataset_id:
            self._score = score
            self._acknowledge(manifest, {})

    def leave(self) -> None:
        """Let nobody wait for this pipeline while it is stopped."""
        self.drop()
        lifecycle.leave(self._dataset, OWN_PIPELINE)

    def _follow_mode(self, manifest: Manifest) -> None:
        """Export the mode in force; segments are read once each."""
        in_force = manifest.dataset_id, len(manifest.segments)
        if in_force != self._in_force:
            self._in_force = in_force
            self.metrics.mode_is(self._dataset.segments(manifest)[-1].settings.mode)

    def _is_due(self, manifest: Manifest, stream: Stream) -> bool:
        """Whether there are batches to carry that no damaged one holds up."""
        published, engine = manifest.head(stream).next_batch, self._engine
        if engine is None or published <= engine.next_batch(stream):
            lacking = engine is None and published > 0
        else:
            lacking = published > self._first(engine, stream)  # what was pruned can be carried no more
        return lacking and not self.holding.holds(stream, self.clock.now())

    def _try(self, engine: Engine, manifest: Manifest, stream: Stream) -> None:
        """Carry batches of a stream, up to a damaged one: that holds up its own stream alone, until it is repaired."""
        try:
            try:
                self._carry(engine, manifest, stream, PASS_BATCHES)
            except DamagedBatch as fault:
                self._carry(engine, manifest, stream, fault.batch_number - self._first(engine, stream))
                raise
            self.holding.is_over(stream)
            self.metrics.held_up(stream, False)
        except DamagedBatch as fault:
            self.metrics.held_up(stream, True)
            wait = self.holding.begins(stream, fault, self.clock.now())
            self.metrics.failed()
            again = f"; it tries again in {wait // SECOND} s" if self.tries_again else ""
            self.log.error(f"Pipeline could not go on with {stream}{again}: {fault}", kind="error")
            self._count_lines(engine)  # passes before the one with the damaged batch may be in the tables
            self._acknowledge(manifest, self._passed(engine))

    def _engine_of(self, manifest: Manifest) -> Engine:
        """Return the engine of the present dataset; after a clean or a fault the tables are opened anew."""
        if self._engine is None or manifest.dataset_id != self._dataset_id:
            self.drop()
            self._held_by_nothing()
            self._score = None
            self._engine = self._open_engine(manifest.dataset_id)
            self._dataset_id = manifest.dataset_id
            self._count_lines(self._engine)
            self._acknowledge(manifest, self._passed(self._engine), anew=True)
        return self._engine

    def _held_by_nothing(self) -> None:
        self.holding = Holding()
        for stream in Stream:
            self.metrics.held_up(stream, False)

    def _count_lines(self, engine: Engine) -> None:
        """Take the totals from gold, where a kill may have left them ahead of other tables."""
        self._totals = engine.totals()
        manifest = self._dataset.manifest()
        self._counted = {stream: manifest.head(stream).next_batch - 1 for stream in Stream}
        self.metrics.records(self._totals.outcomes)

    def _carry(self, engine: Engine, manifest: Manifest, stream: Stream, most: int) -> None:
        first = self._first(engine, stream)
        count = min(manifest.head(stream).next_batch - first, most)
        if count <= 0:
            return
        entries = _up_to(engine.lines_at_once, self._dataset.ledgers[stream].batches_from(first, count))
        carried = engine.carry(stream, entries)
        if not carried.batches:
            return
        latencies = self._latencies(stream, entries, carried)
        if entries[0].batch_number <= self._counted[stream]:
            self._count_lines(engine)
        else:
            self._totals.add(stream, carried)
        self._acknowledge(manifest, self._passed(engine), latencies)
        self._tell(stream, entries, carried, latencies)

    def _first(self, engine: Engine, stream: Stream) -> int:
        """Return the number of the next batch to carry; those that were pruned before are left out, and told of."""
        following, kept = engine.next_batch(stream), pruned_before(self.layout, stream)
        if following < kept and self._told_pruned.get(stream) != kept:
            self._told_pruned[stream] = kept
            self.log.warning(
                f"Pipeline goes on with {stream} at batch {kept}: batches {following} to {kept - 1} were pruned before they "
                "were carried, and are not in the tables",
                kind="pruned",
                stream=stream.value,
            )
        return max(following, kept)

    def _passed(self, engine: Engine) -> dict[Stream, int]:
        """Return the number of the newest batch of each stream that every table has, or that none can get any more."""
        return {stream: self._first(engine, stream) - 1 for stream in Stream}

    def _acknowledge(
        self, manifest: Manifest, numbers: dict[Stream, int], latencies: Latencies | None = None, anew: bool = False
    ) -> None:
        published = {stream: min(number, manifest.head(stream).next_batch - 1) for stream, number in numbers.items()}
        now = self.clock.now()
        lines = {stream: dict(counts) for stream, counts in self._totals.outcomes.items()}
        outcome = Outcome(lines=lines, rules=dict(self._totals.rules), score=self._score)
        lifecycle.acknowledge(
            self._dataset, OWN_PIPELINE, manifest.dataset_id, published, now, latencies, outcome, anew
        )

    def _latencies(self, stream: Stream, entries: Sequence[BatchEntry], carried: Carried) -> Latencies:
        """Count how long each batch took since it was published; return that of the last one."""
        now, to_gold = self.clock.now(), carried.silver_to_gold_seconds
        to_silver = 0.0
        for entry in entries:
            to_silver = max(0.0, (now - self._published_at(stream, entry, now)) / SECOND - to_gold)
            self.metrics.took(entry.batch_id, to_silver, to_gold)
        return Latencies(bronze_to_silver=to_silver, silver_to_gold=to_gold, end_to_end=to_silver + to_gold)

    def _published_at(self, stream: Stream, entry: BatchEntry, otherwise: int) -> int:
        """Return when a batch was published: its meta is the last file that is written before the rename."""
        try:
            return self.layout.batch_meta(stream, entry.batch_id).stat().st_mtime_ns // 1000
        except OSError:
            return otherwise

    def _tell(self, stream: Stream, entries: Sequence[BatchEntry], carried: Carried, took: Latencies) -> None:
        first, last = entries[0].batch_number, entries[-1].batch_number
        named = f"batch {last}" if first == last else f"batches {first} to {last}"
        counts = {name: carried.outcomes[name] for name in ("accepted", "quarantined", "duplicate")}
        self.log.info(
            f"Pipeline carried {named} of {stream}: {carried.lines} lines ({counts['accepted']} accepted, "
            f"{counts['quarantined']} quarantined, {counts['duplicate']} duplicates)",
            kind="batch_processed",
            stream=stream.value,
            first_batch=first,
            batch_number=last,
            **counts,
            bronze_to_silver_seconds=round(took.bronze_to_silver, 6),
            silver_to_gold_seconds=round(took.silver_to_gold, 6),
            end_to_end_seconds=round(took.end_to_end, 6),
        )


def _up_to(lines: int, entries: Sequence[BatchEntry]) -> Sequence[BatchEntry]:
    """Return the first batches that have so many lines together, but at least one."""
    totals = accumulate(entry.record_count for entry in entries)
    return entries[: max(1, sum(total <= lines for total in totals))]
