"""Owns the score of the own pipeline while it runs: over the newest batches that it has carried, each scored once."""

from collections import deque
from collections.abc import Mapping

from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import Stream
from fleetgen.generation.dataset import Dataset
from fleetgen.scoring.own import own_rejections
from fleetgen.scoring.tally import Score, Tally, total
from fleetgen.scoring.truth import DirtyCompanies, blocks_of
from fleetgen.scoring.verdict import Rejected, judge
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest

WINDOW = 100
"""So many of the newest batches of each stream are in the score."""

AT_ONCE = 20
"""So many batches of a stream are scored at once; of more, as after a backlog, the newest."""

MOST_RECORDS = 100_000
"""A batch with more is left out: its truth takes longer to make than a look may."""


class LiveScore:
    """The score of one data directory's own pipeline."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._of: tuple[str, int] | None = None
        self._scored = dict.fromkeys(Stream, -1)
        self._tallies: dict[Stream, deque[Tally]] = {}

    def look(self) -> Score | None:
        """Score what was carried since the last look; return the whole, or None where nothing was carried since."""
        manifest = self._dataset.read()
        own = manifest.consumers.get(OWN_PIPELINE) if manifest else None
        if manifest is None or manifest.origin is None or own is None:
            return None
        self._follow(manifest)
        new = {stream: self._new(stream, own.acknowledged.get(stream, -1)) for stream in Stream}
        if not any(new.values()):
            return None
        rejections = own_rejections(self._dataset.layout, manifest.dataset_id, new)
        for stream, entries in new.items():
            for entry in entries:
                self._tallies[stream].append(self._score(manifest, stream, entry, rejections))
                self._scored[stream] = entry.batch_number
        return Score({stream: total(tallies) for stream, tallies in self._tallies.items()})

    def _follow(self, manifest: Manifest) -> None:
        """Forget everything after a clean, and which companies are dirty where a segment was opened."""
        before, now = self._of, (manifest.dataset_id, len(manifest.segments))
        if before is None or before[0] != now[0]:
            self._scored = dict.fromkeys(Stream, -1)
            self._tallies = {stream: deque(maxlen=WINDOW) for stream in Stream}
        if before != now:
            self._companies = DirtyCompanies(self._dataset, manifest)
        self._of = now

    def _new(self, stream: Stream, carried: int) -> list[BatchEntry]:
        first = max(self._scored[stream] + 1, carried - AT_ONCE + 1)
        found = self._dataset.ledgers[stream].batches_from(first, carried - first + 1) if carried >= first else []
        return [entry for entry in found if entry.record_count <= MOST_RECORDS]

    def _score(
        self, manifest: Manifest, stream: Stream, entry: BatchEntry, rejections: Mapping[tuple[Stream, str], Rejected]
    ) -> Tally:
        rejected = rejections.get((stream, entry.batch_id), {})
        tally = Tally(batches=1)
        for block in blocks_of(self._dataset, manifest, stream, entry):
            self._dataset.progress()
            named = {line: rejected[line] for line in block.numbers if line in rejected}
            tally.add(
                len(block.lines), judge(block.issues, named, frozenset(), self._companies.collateral(stream, block))
            )
        return tally
