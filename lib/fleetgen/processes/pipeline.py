"""The pipeline process: follows the published batches and carries them into the tables, acknowledging each run of them.

How a batch gets into the tables is the engine's. One process makes the tables of a data directory at a time.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from fleetgen.cadence.clock import SystemClock
from fleetgen.cadence.loop import WakeUp, rest, run
from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import SECOND, Stream
from fleetgen.errors import ConfigurationError, FleetgenError, HeldByAnother, Interrupted, SystemLacks
from fleetgen.generation import lifecycle
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.lifecycle import OWN_PIPELINE, WrongDataset
from fleetgen.medallion.budget import carrying
from fleetgen.medallion.engine import Carried, Engine
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.medallion.totals import line_totals
from fleetgen.processes.heartbeat import Heartbeat
from fleetgen.storage.files import FileLock, raise_lasting
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Latencies, Manifest
from fleetgen.supervision.crashes import CrashRecord
from fleetgen.supervision.orphans import OrphanGuard
from fleetgen.telemetry.logs import start_logging
from fleetgen.telemetry.metrics import serve_metrics
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics

BATCHES_AT_ONCE = 250
LINES_AT_ONCE = 1_000_000
"""So many batches of a stream, and lines in them, are carried before they are acknowledged; a larger batch by itself."""

_POLL = SECOND // 20
_LONGEST_BACKOFF = 30 * SECOND


class Pipeline:
    """A running pipeline process."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self.loaded, self.layout = loaded, loaded.layout
        self.log = start_logging("pipeline")
        self.clock, self.wake_up = SystemClock(), WakeUp()
        self.metrics = PipelineMetrics()
        self.heartbeat = Heartbeat(loaded.heartbeat("pipeline"))
        self.crashes = CrashRecord(loaded.failures("pipeline"))
        self._guard = OrphanGuard()
        self._dataset = Dataset(loaded.layout)
        self._budget = carrying(loaded.config.pipeline.memory)
        self._holder = FileLock(self.layout.tables_holder_lock)
        self._writer = FileLock(self.layout.tables_lock)
        self._engine: Engine | None = None
        self._dataset_id: str | None = None
        self._totals: dict[Stream, Counter[str]] = {stream: Counter() for stream in Stream}
        self._counted = dict.fromkeys(Stream, -1)
        self._backoff = SECOND
        self._not_before = 0
        self._held_up: dict[Stream, tuple[int, int]] = {}
        """Streams with a damaged batch: when to try again, and how long the wait was."""
        self._damage: DamagedBatch | None = None
        self._draining = False

    def live(self) -> None:
        """Carry batches until asked to stop; raises HeldByAnother if another process makes these tables."""
        self.wake_up.on_signals()
        self._slow_down()
        self._hold()
        self.log.info("Starting pipeline", kind="starting")
        run(self.clock, self.wake_up, self.turn)
        self._leave()
        self.log.info("Stopping pipeline", kind="stopping")

    def drain(self) -> None:
        """Carry everything that is published, and end; a fault is raised."""
        self._draining = True
        self._hold()
        try:
            while self._work():
                pass
            if self._damage is not None:
                raise self._damage
        finally:
            self._leave()

    def turn(self) -> int:
        """Carry what is due; return when to look again. Whatever fails is logged and tried again, ever more slowly."""
        self._guard.end_orphan(self.log)
        self.heartbeat.beat()
        now = self.clock.now()
        if now < self._not_before <= now + _LONGEST_BACKOFF:  # farther away only if the clock was set back
            return self._not_before
        try:
            worked = self._work()
            self._backoff = SECOND
            self.crashes.worked()
            return now if worked else now + _POLL
        except (Interrupted, WrongDataset):
            return now
        except Exception as fault:  # noqa: BLE001 - the loop outlives every fault
            return self._failed(fault)

    def _work(self) -> bool:
        """Carry some batches of each stream; return whether there may be more to do."""
        manifest = self._dataset.store.read()
        if manifest is None or manifest.origin is None:
            return False
        if manifest.dataset_id == self._dataset_id and not any(self._is_due(manifest, stream) for stream in Stream):
            return False
        with self._writer.held(interrupted=self.wake_up.stop_asked):
            manifest = self._dataset.manifest()
            if manifest.origin is None:
                return False
            engine = self._engine_of(manifest)
            for stream in Stream:
                if self._is_due(manifest, stream):
                    self._try(engine, manifest, stream)
            engine.maintain()
        return True

    def _is_due(self, manifest: Manifest, stream: Stream) -> bool:
        """Whether there are batches to carry that no damaged one holds up."""
        known = self._engine.next_batch(stream) if self._engine else 0
        now = self.clock.now()
        is_held_up = now < self._held_up.get(stream, (0, 0))[0] <= now + _LONGEST_BACKOFF
        return manifest.head(stream).next_batch > known and not is_held_up

    def _try(self, engine: Engine, manifest: Manifest, stream: Stream) -> None:
        """Carry batches of a stream; a damaged one holds up its own stream alone, until it is repaired."""
        try:
            try:
                self._carry(engine, manifest, stream, BATCHES_AT_ONCE)
            except DamagedBatch:
                self._carry_singly(engine, manifest, stream)
            self._held_up.pop(stream, None)
            self._damage = self._damage if self._held_up else None
        except DamagedBatch as fault:
            self._damage = fault
            wait = min(2 * self._held_up.get(stream, (0, SECOND // 2))[1], _LONGEST_BACKOFF)
            self._held_up[stream] = (self.clock.now() + wait, wait)
            self.metrics.failed()
            again = "" if self._draining else f"; it tries again in {wait // SECOND} s"
            self.log.error(f"Pipeline could not go on with {stream}{again}: {fault}", kind="error")
            self._count_lines()  # passes before the one with the damaged batch may be in the tables

    def _carry_singly(self, engine: Engine, manifest: Manifest, stream: Stream) -> None:
        """Carry batches one by one: so those before a damaged one get into the tables."""
        for _ in range(BATCHES_AT_ONCE):
            self._carry(engine, manifest, stream, 1)

    def _engine_of(self, manifest: Manifest) -> Engine:
        """Return the engine of the present dataset; after a clean or a fault the tables are opened anew."""
        if self._engine is None or manifest.dataset_id != self._dataset_id:
            self._drop_engine()
            self._held_up, self._damage = {}, None
            self._engine = Engine(self.layout, manifest.dataset_id, self.heartbeat.beat, budget=self._budget)
            self._dataset_id = manifest.dataset_id
            self._count_lines()
            self._acknowledge(manifest, {stream: self._engine.next_batch(stream) - 1 for stream in Stream})
        return self._engine

    def _count_lines(self) -> None:
        """Take the totals from gold, where a kill may have left them ahead of other tables."""
        self._totals = line_totals(self.layout)
        manifest = self._dataset.manifest()
        self._counted = {stream: manifest.head(stream).next_batch - 1 for stream in Stream}
        self.metrics.records(self._totals)

    def _drop_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = self._dataset_id = None

    def _carry(self, engine: Engine, manifest: Manifest, stream: Stream, most: int) -> None:
        first = engine.next_batch(stream)
        count = min(manifest.head(stream).next_batch - first, most)
        if count <= 0:
            return
        entries = _up_to(LINES_AT_ONCE, self._dataset.ledgers[stream].batches_from(first, count))
        carried = engine.carry(stream, entries)
        if not carried.batches:
            return
        latencies = self._latencies(stream, entries, carried)
        self._acknowledge(manifest, {stream: entries[-1].batch_number}, latencies)
        self._tell(stream, entries, carried, latencies)
        if entries[0].batch_number <= self._counted[stream]:
            self._count_lines()
        else:
            self._totals[stream] += carried.outcomes

    def _acknowledge(self, manifest: Manifest, numbers: dict[Stream, int], latencies: Latencies | None = None) -> None:
        published = {
            stream: min(number, manifest.head(stream).next_batch - 1)
            for stream, number in numbers.items()
            if number >= 0
        }
        now = self.clock.now()
        lifecycle.acknowledge(self._dataset, OWN_PIPELINE, manifest.dataset_id, published, now, latencies)

    def _latencies(self, stream: Stream, entries: Sequence[BatchEntry], carried: Carried) -> Latencies:
        """Count how long each batch took since it was published; return that of the last one."""
        now, to_gold = self.clock.now(), carried.silver_to_gold_seconds
        to_silver = 0.0
        for entry in entries:
            to_silver = max(0.0, (now - self._published_at(stream, entry, now)) / SECOND - to_gold)
            self.metrics.took(to_silver, to_gold)
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

    def _hold(self) -> None:
        try:
            self._holder.acquire(timeout_seconds=0)
        except HeldByAnother as fault:
            raise HeldByAnother(
                f"The tables of {self.layout.data} are already made by {self._holder.holder()}: stop that one, or give "
                "this one another paths.data."
            ) from fault
        self._holder.sign()
        lifecycle.register(self._dataset, OWN_PIPELINE)

    def _leave(self) -> None:
        """Let nobody wait for this pipeline while it is stopped."""
        self._drop_engine()
        lifecycle.leave(self._dataset, OWN_PIPELINE)

    def _slow_down(self) -> None:
        self.crashes.tell(self.log, "pipeline")
        if wait := self.crashes.wait:
            rest(self.clock, self.wake_up, self.clock.now() + wait, self.heartbeat.beat)

    def _failed(self, fault: Exception) -> int:
        """Tell of a fault, or raise one that lasts; the tables are opened anew, for nobody knows how far a commit came."""
        raise_lasting(fault)
        self.metrics.failed()
        wait = self._backoff
        self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
        text = f"Pipeline could not go on; it tries again in {wait // SECOND} s"
        if isinstance(fault, FleetgenError):
            self.log.error(f"{text}: {fault}", kind="error")
        else:
            self.log.error(text, kind="error", exc_info=fault)
        self._drop_engine()
        self._not_before = self.clock.now() + wait
        return self._not_before


def _up_to(lines: int, entries: Sequence[BatchEntry]) -> Sequence[BatchEntry]:
    """Return the first batches that have so many lines together, but at least one."""
    totals = accumulate(entry.record_count for entry in entries)
    return entries[: max(1, sum(total <= lines for total in totals))]


def carry_once(loaded: LoadedConfig) -> None:
    """Carry everything that is published, and end; raises HeldByAnother, and whatever is wrong with a batch or table."""
    Pipeline(loaded).drain()


def main(loaded: LoadedConfig, address: str | None, port: int | None, fault: str | None) -> None:
    """Run until asked to stop; ``fault`` is what is wrong with the file if ``loaded`` is an older one."""
    config = loaded.config.metrics
    pipeline = Pipeline(loaded)
    server = None
    try:
        server = serve_metrics(pipeline.metrics.registry, address or config.address, port or config.pipeline_port)
        pipeline.live()
    except (HeldByAnother, ConfigurationError, SystemLacks) as failure:
        pipeline.log.error(f"The pipeline cannot run: {failure}", kind="failed")
        raise
    except Exception as failure:
        pipeline.log.error("The pipeline has failed", kind="failed", exc_info=failure)
        pipeline.crashes.failed()
        raise
    finally:
        if server is not None:
            server.shutdown()
