"""Owns the score of a pipeline over a dataset: batch by batch, block by block, what it rejected against the truth."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.errors import UsageError
from fleetgen.generation import checking
from fleetgen.generation.dataset import Dataset
from fleetgen.scoring import files
from fleetgen.scoring.choosing import Choice
from fleetgen.scoring.files import Source
from fleetgen.scoring.named import Named
from fleetgen.scoring.own import own_quarantine
from fleetgen.scoring.tally import Finding, Score, Tally
from fleetgen.scoring.truth import Block, DirtyCompanies, blocks_of, shown_id
from fleetgen.scoring.verdict import Judged, Verdict, judge
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest

MOST_LISTED = 10_000

Sources = Path | str | Iterable[Source]
"""A file or folder, or several of them, or rows."""

Progress = Callable[[int, int], None]
"""Is told how many batches are scored, and of how many."""


def score(
    data: Path | str,
    quarantine: Sources | None = None,
    accepted: Sources | None = None,
    choice: Choice | None = None,
    most: int = MOST_LISTED,
    progress: Progress = lambda done, total: None,
) -> Score:
    """Return how well a pipeline rejects: what it named against what was injected into the dataset in ``data``.

    ``quarantine`` is what it rejected, ``accepted`` what it accepted, so that what is missing there counts as rejected.
    Each is a file (JSON Lines, CSV, Parquet) or a folder (a Delta table, or such files), or a list of these and of rows
    (mappings). A row names a record by ``stream``, ``batch_id`` and ``line`` (from 1), or by ``record_id``, ``company_id`` or
    ``event_id``; other columns do no harm. Without either it is the own pipeline that is scored, over the batches that
    it has carried. At most ``most`` misses and as many false alarms are listed one by one; all are counted.

    Raises UsageError for what does not fit, ManifestError without a dataset.
    """
    scoring = _Scoring(Dataset(Layout(Path(data))), quarantine, accepted, choice or Choice(), most)
    return scoring.run(progress)


class _Scoring:
    """One score in the making."""

    def __init__(
        self,
        dataset: Dataset,
        quarantine: Sources | None,
        accepted: Sources | None,
        choice: Choice,
        most: int,
    ) -> None:
        if quarantine is not None and accepted is not None:
            raise UsageError("Name either what was quarantined or what was accepted: one follows from the other.")
        self._dataset, self._choice, self._most = dataset, choice, most
        self._manifest: Manifest = checking.require_dataset(dataset)
        self._named = self._read(quarantine, accepted)
        self._dirty = DirtyCompanies(dataset, self._manifest)
        self._score = Score({stream: Tally() for stream in choice.streams})

    def run(self, progress: Progress) -> Score:
        """Score all chosen batches."""
        self._check_batches()
        total, done = self._count(), 0
        for stream in self._choice.streams:
            for entry in self._choice.entries(self._dataset, self._manifest, stream):
                self._add(stream, entry)
                done += 1
                progress(done, total)
        self._check_accepted()
        self._score.rows_without_id = self._named.without_id
        self._score.ids_not_found = self._named.not_met
        return self._score

    def _read(self, quarantine: Sources | None, accepted: Sources | None) -> Named:
        sources = quarantine if accepted is None else accepted
        if sources is not None:
            default = self._choice.streams[0] if len(self._choice.streams) == 1 else None
            sources = [sources] if isinstance(sources, str | Path) else sources
            return files.read(sources, accepted is not None, default)
        named, carried = own_quarantine(self._dataset.layout, self._manifest.dataset_id)
        self._choice = replace(self._choice, last=carried)
        return named

    def _count(self) -> int:
        counts = {
            stream: sum(1 for _ in self._choice.entries(self._dataset, self._manifest, stream))
            for stream in self._choice.streams
        }
        if not any(counts.values()):
            raise UsageError(
                "There is no batch to score: choose another time, or wait until the pipeline has carried one."
            )
        return sum(counts.values())

    def _check_batches(self) -> None:
        """Raise UsageError if a batch is named that was never published."""
        for stream, batches in self._named.batches.items():
            unknown: dict[str, str] = {batch_id: batch.place for batch_id, batch in batches.items()}
            if unknown:
                for entry in self._dataset.ledgers[stream].batches():
                    unknown.pop(entry.batch_id, None)
            for batch_id, place in unknown.items():
                raise UsageError(
                    f"{place} names batch {batch_id!r} of {stream}, which this dataset does not have: see the folders in "
                    f"{self._dataset.layout.stream(stream)}, or score with the configuration of the dataset that it is of."
                )

    def _check_accepted(self) -> None:
        """Raise UsageError if a stream was left out of what was accepted: all of it would count as rejected."""
        for stream, tally in self._score.tallies.items():
            lacks_some = tally.false_alarms.total() + tally.collateral > 0
            if self._named.accepted and lacks_some and not self._named.met[stream]:
                others = " or ".join(other for other in Stream if other is not stream)
                raise UsageError(
                    f"No record of {stream} is among the accepted: name the file that has them too, or score {others} "
                    f"alone with --stream {others}."
                )

    def _add(self, stream: Stream, entry: BatchEntry) -> None:
        by_number = self._named.of_batch(stream, entry.batch_id)
        if by_number and (line := max(by_number)) > entry.record_count:
            place = self._named.batches[stream][entry.batch_id].place
            raise UsageError(
                f"{place} and what follows names line {line} of {stream} {entry.batch_id}, which has {entry.record_count} "
                "lines: lines count from 1, over the batch's parts."
            )
        self._score.tallies[stream].batches += 1
        for block in blocks_of(self._dataset, self._manifest, stream, entry):
            rejected, unknowable = self._named.rejected(stream, block, by_number)
            verdict = judge(block.issues, rejected, unknowable, self._dirty.collateral(stream, block))
            self._score.tallies[stream].add(len(block.lines), verdict)
            self._list(stream, entry.batch_id, block, verdict)

    def _list(self, stream: Stream, batch_id: str, block: Block, verdict: Verdict) -> None:
        for found, listed in (
            (verdict.misses, self._score.misses),
            (verdict.false_alarms, self._score.false_alarms),
        ):
            room = self._most - len(listed)
            listed.extend(_finding(stream, batch_id, block, judged) for judged in sorted(found)[:room])


def _finding(stream: Stream, batch_id: str, block: Block, judged: Judged) -> Finding:
    issue = block.issues.get(judged.line)
    shown = shown_id(stream, block.line(judged.line))
    record_id = shown if issue is None or shown is not None else issue.record_id
    return Finding(stream.value, batch_id, judged.line, record_id or "", judged.kind, issue.field if issue else None)
