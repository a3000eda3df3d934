"""Owns one stream's life in one process: what is next, making and publishing it, and recovery after a crash.

A batch is staged without any lock but the stream's own, and committed under the manifest's: there the dataset, the
segment and the pause are looked at for the last time, so a batch never appears after any of them has changed.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from fleetgen.cadence.clock import Clock, StopWatch
from fleetgen.cadence.schedule import Decision, Make, Skip, Wait, decide
from fleetgen.config.model import Config
from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import SECOND, Interval, Stream, batch_id
from fleetgen.errors import DatasetChanged, HeldByAnother, Interrupted
from fleetgen.generation import recording
from fleetgen.generation.cleaning import Trash, finish_cleaning
from fleetgen.generation.dataset import Dataset, ReadConfig
from fleetgen.generation.deriving import Derived
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.generation.retention import finish_pruning, kept_from, prune
from fleetgen.generation.staging import Staged, finish, stage
from fleetgen.generation.withholding import Hold, hold
from fleetgen.storage import bronze
from fleetgen.storage.files import is_disk_fault
from fleetgen.storage.ledger import BatchEntry, GapEntry, GapReason
from fleetgen.storage.locks import FileLock
from fleetgen.storage.manifest import Head, Manifest
from fleetgen.storage.probing import require_disk
from fleetgen.storage.pruning import pruned_before
from fleetgen.storage.store import Transaction

COMPANY_WAIT = 10 * SECOND
"""How long, in one outage of the company stream, a batch of events waits for it."""

_POLL = SECOND // 20
_IDLE = SECOND


class StreamMaker:
    """Makes one stream of a dataset. One process holds it at a time."""

    def __init__(
        self,
        stream: Stream,
        dataset: Dataset,
        clock: Clock,
        read_config: ReadConfig,
        interrupted: Callable[[], bool] = lambda: False,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.stream = stream
        self.dataset = dataset
        self.clock = clock
        self.attended_since = clock.now()
        self.take_over(read_config())
        self._read_config = read_config
        self._interrupted = interrupted
        self._beat = beat
        layout = dataset.layout
        self._holder, self._writer = FileLock(layout.holder_lock(stream)), FileLock(layout.writer_lock(stream))
        self.derived = Derived(dataset, stream, beat)
        self._settled = False
        self._waiting_since: int | None = None
        self._trouble: Exception | None = None
        self.trash = Trash(layout, dataset.progress)

    def take_over(self, config: Config) -> None:
        """Go by what a configuration says of intervals that were missed, of consumers and of the disk."""
        self._limits = config.schedule, config.backpressure, config.retention
        self._counts = config.counts

    @property
    def lock_wait_seconds(self) -> float:
        """How long the manifest's lock was waited for when it was last taken."""
        return self.dataset.store.lock.waited_seconds

    def hold(self) -> None:
        """Become the stream's one holder; raises HeldByAnother, which names the present one, and SystemLacks."""
        require_disk(self.dataset.layout)
        try:
            self._holder.hold()
        except HeldByAnother as fault:
            raise HeldByAnother(
                f"The {self.stream} of {self.dataset.layout.data} are already made by {self._holder.holder()}: "
                "stop that one, or give this one another paths.data."
            ) from fault

    def writing(self) -> AbstractContextManager[None]:
        """Hold off cleaning for a block."""
        return self._writer.held(interrupted=self._interrupted)

    def release(self) -> None:
        """Let another process hold the stream."""
        self._holder.release()

    def recover(self) -> None:
        """Put right what a crash left behind; batches that were published but not recorded are recorded."""
        layout = self.dataset.layout
        with self.writing():
            with self._locked() as transaction:
                manifest = finish_cleaning(layout, transaction)
                bronze.discard_staged(layout, self.stream)
                recording.discard_unfinished(layout, self.stream)
                manifest = self.dataset.settle(manifest, self.stream)
                following = batch_id(manifest.head(self.stream).stands_at)
                bronze.discard_truths(layout, self.stream, following, self.dataset.progress)
                finish_pruning(self.dataset, self.stream)
                transaction.save(manifest)
                self._settled = True
            self.derived.follow(manifest, self.clock.now())
        self.trash.delete_some()

    def follow_config(self) -> Manifest:
        """Open a segment if the configuration asks for one."""
        with self._locked() as transaction:
            return self.dataset.follow_config(transaction, self._read_config, self.clock.now())

    def plan(self) -> tuple[Decision | None, int]:
        """Return what is to be done next (None: nothing) and the instant to look again."""
        now = self.clock.now()
        manifest = self._begun()
        if manifest is None:
            return None, now + _IDLE
        decision = self._decide(manifest, now)
        if isinstance(decision, Wait):
            return None, decision.interval.end if decision.interval.end > now else now + _IDLE
        if isinstance(decision, Make) and manifest.desired.paused:
            return None, now + _IDLE
        if isinstance(decision, Make) and self._waits_for_companies(manifest, decision.interval, now):
            return None, now + _POLL
        return decision, now

    def perform(self, decision: Decision) -> Published | LeftOut | None:
        """Do what was decided; None where the world changed meanwhile and a new decision is needed."""
        if isinstance(decision, Wait):
            return None
        with self.writing():
            with suppress(DatasetChanged):
                return self._leave_out(decision) if isinstance(decision, Skip) else self._make(decision)
            bronze.discard_staged(self.dataset.layout, self.stream)
        return None

    def held_up_by(self, fault: Exception) -> None:
        """Note what keeps batches from being made; a gap that comes of it says so."""
        self._trouble = fault

    def next_due(self) -> int | None:
        """Return the instant at which the next batch is due, as far as it is known."""
        manifest = self.dataset.read()
        if manifest is None or manifest.origin is None:
            return None
        return self.dataset.next_interval(manifest, self.stream).end

    def _locked(self) -> AbstractContextManager[Transaction]:
        return self.dataset.store.locked(interrupted=self._interrupted)

    def _begun(self) -> Manifest | None:
        """Return the manifest of a dataset that has begun; begin it unless it is paused."""
        if not self._settled:
            self.recover()
        manifest = self.dataset.read()
        if manifest is not None and (manifest.origin is not None or manifest.desired.paused):
            return manifest if manifest.origin is not None else None
        with self._locked() as transaction:
            return None if transaction.manifest.desired.paused else self.begin(transaction)

    def begin(self, transaction: Transaction) -> Manifest:
        """Begin an empty dataset now; one that has begun stays as it is."""
        return self.dataset.begin(transaction, self._read_config, self.clock.now())

    def prune(self) -> int:
        """Remove some batches that retention lets go; return how many, 0 where there is nothing left to remove."""
        manifest = self.dataset.read()
        if manifest is None or self._kept_from(manifest) <= pruned_before(self.dataset.layout, self.stream):
            return 0
        with self.writing():
            kept = self._kept_from(self.dataset.manifest())  # nobody cleans any more
            return prune(self.dataset, self.stream, kept, self._beat)

    def _kept_from(self, manifest: Manifest) -> int:
        _, backpressure, retention = self._limits
        counting = [name for name in backpressure.consumers if name in manifest.consumers or self._counts(name)]
        return kept_from(manifest, self.stream, counting, retention.keep_batches)

    def mend_derived(self) -> None:
        """Try again to make a derived file follow, if that failed and it is time."""
        if self.derived.is_due(now := self.clock.now()):
            with self.writing():
                self.derived.follow(self.dataset.manifest(), now)

    def hold_of(self, manifest: Manifest) -> Hold | None:
        """Return what keeps the next batch from being published, or None."""
        _, backpressure, retention = self._limits
        return hold(self.dataset.layout, manifest, self.stream, backpressure, retention)

    def _decide(self, manifest: Manifest, now: int) -> Decision:
        self.attended_since = min(self.attended_since, now)
        held = self.hold_of(manifest)
        return decide(
            stands_at=manifest.head(self.stream).stands_at,
            grid=self.dataset.grid(manifest, self.stream),
            now=now,
            attended_since=self.attended_since,
            catch_up_limit=self._limits[0].catch_up_limit,
            paused_when=manifest.desired.as_of(now).paused_when,
            withheld=held.reason if held else None,
        )

    def _waits_for_companies(self, manifest: Manifest, interval: Interval, now: int) -> bool:
        """Whether the companies that this batch must reach may still be coming."""
        if self.stream is Stream.COMPANIES:
            return False
        if self.dataset.next_interval(manifest, Stream.COMPANIES).end > interval.start:
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        return abs(now - self._waiting_since) < COMPANY_WAIT  # a clock that is set back ends the wait, too

    def _inputs(self, manifest: Manifest, interval: Interval) -> BatchInputs:
        segments = self.dataset.segments(manifest)
        if self.stream is Stream.COMPANIES:
            count = manifest.head(self.stream).next_company + segments[-1].settings.companies_per_batch
        else:
            count = self.dataset.companies_in_reach(manifest, interval.start)
        return BatchInputs(self.stream, manifest.head(self.stream).next_batch, interval, segments[-1], segments, count)

    def _make(self, decision: Make) -> Published:
        started_at = self.clock.now()
        manifest = self.dataset.manifest()
        if manifest.origin is None or self.dataset.next_interval(manifest, self.stream) != decision.interval:
            raise DatasetChanged
        inputs = self._inputs(manifest, decision.interval)
        staged = stage(self.dataset.layout.staged(self.stream), inputs, self._progress)
        published = self.commit(staged, started_at, decision.late, manifest)
        return replace(published, first=decision.first)

    def _progress(self) -> None:
        self._beat()
        if self._interrupted():
            raise Interrupted

    def commit(self, staged: Staged, started_at: int, late: bool, pinned: Manifest) -> Published:
        """Publish a staged batch and record it; raise DatasetChanged if what it was made from is no longer in force."""
        watch = StopWatch()
        inputs, finished_at = staged.inputs, self.clock.now()
        finish(staged, recording.clock_meta(inputs.interval.end, started_at, finished_at))
        entry = recording.ledger_entry(staged.meta)
        with self._locked() as transaction:
            permit = transaction.permit(pinned.dataset_id)
            self.still(transaction.manifest, inputs)
            self._settled = False
            self.dataset.keep_ledger(transaction.manifest, self.stream)
            bronze.publish_batch(permit, self.dataset.layout, staged.folder, self.stream, entry.batch_id)
            watch.lap("publish")
            head = self._record(transaction, entry, finished_at, late)
        self._trouble = None
        self.derived.follow(transaction.manifest, finished_at, entry)
        watch.lap("record")
        settings, due = inputs.segment.settings, inputs.interval.end
        phases, target, dirty = staged.phases | watch.phases, settings.target_count(self.stream), bool(settings.quality)
        return Published(self.stream, entry, head, due, started_at, finished_at, late, False, dirty, phases, target)

    def still(self, manifest: Manifest, inputs: BatchInputs) -> None:
        """Raise DatasetChanged unless what the batch was made from is still in force and nobody has paused."""
        head, segment = manifest.head(self.stream), manifest.segments[-1].number
        made_from = (inputs.segment.number, inputs.number, inputs.interval.start)
        if manifest.desired.paused or (segment, head.next_batch, head.stands_at) != made_from:
            raise DatasetChanged

    def _leave_out(self, decision: Skip) -> LeftOut:
        with self._locked() as transaction:
            manifest = transaction.manifest
            if manifest.origin is None or self._decide(manifest, self.clock.now()) != decision:
                raise DatasetChanged
            self._settled = False
            self.dataset.keep_ledger(manifest, self.stream)
            entry = recording.gap_entry(manifest, decision, *self._why(decision, manifest))
            return LeftOut(entry, self._record(transaction, entry, None, late=False))

    def _why(self, decision: Skip, manifest: Manifest) -> tuple[GapReason, str | None]:
        """Return the reason of a gap, and what kept this process from making the batches if something did."""
        if decision.reason in ("backpressure", "disk"):
            held = self.hold_of(manifest)
            return decision.reason, held.detail if held else None
        if self._trouble is None or decision.reason != "downtime":
            return decision.reason, None
        return "disk" if is_disk_fault(self._trouble) else "fault", str(self._trouble) or type(self._trouble).__name__

    def _record(
        self, transaction: Transaction, entry: BatchEntry | GapEntry, published_at: int | None, late: bool
    ) -> Head:
        manifest = transaction.manifest
        self.dataset.ledgers[self.stream].append(entry)
        head = recording.head_after(manifest.head(self.stream), self.stream, entry, published_at, late)
        transaction.save(manifest.with_head(self.stream, head))
        self._settled = True
        return head
