"""Owns the sums: counts over many blocks, the ratios that follow from them, and what is listed one by one."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from fleetgen.domain.records import ISSUE_TYPES, Stream
from fleetgen.errors import DifferenceFound
from fleetgen.scoring.verdict import Verdict


@dataclass(slots=True)
class Tally:
    """Counts of one stream, or of all."""

    batches: int = 0
    records: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    false_alarms: Counter[str | None] = field(default_factory=Counter)
    """By the type of issue that the record was rejected for; None where that is not told."""
    collateral: int = 0
    not_judged: Counter[str] = field(default_factory=Counter)

    def add(self, records: int, verdict: Verdict) -> None:
        """Count the verdict on so many lines."""
        self.records += records
        self.hits += verdict.hits
        self.misses.update(each.kind for each in verdict.misses if each.kind)
        self.false_alarms.update(each.kind for each in verdict.false_alarms)
        self.collateral += len(verdict.collateral)
        self.not_judged += verdict.not_judged

    def facts(self) -> dict[str, Any]:
        """Return the counts and ratios over all types of issues."""
        counts = _counts(self.hits.total(), self.misses.total(), self.false_alarms.total(), self.not_judged.total())
        return {"batches": self.batches, "records": self.records, **counts, "collateral": self.collateral}

    def facts_of(self, kind: str) -> dict[str, Any]:
        """Return the counts and ratios of one type of issue."""
        return _counts(self.hits[kind], self.misses[kind], self.false_alarms[kind], self.not_judged[kind])


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of several tallies."""
    whole = Tally()
    for each in tallies:
        whole.batches += each.batches
        whole.records += each.records
        whole.hits += each.hits
        whole.misses += each.misses
        whole.false_alarms += each.false_alarms
        whole.collateral += each.collateral
        whole.not_judged += each.not_judged
    return whole


def _counts(hits: int, misses: int, false_alarms: int, not_judged: int) -> dict[str, Any]:
    return {
        "injected": hits + misses + not_judged,
        "hits": hits,
        "misses": misses,
        "false_alarms": false_alarms,
        "not_judged": not_judged,
        "recall": _ratio(hits, misses),
        "precision": _ratio(hits, false_alarms),
    }


def _ratio(hits: int, others: int) -> float | None:
    """Return the share of the hits; None where there is nothing to have a share of."""
    return hits / (hits + others) if hits + others else None


@dataclass(frozen=True, slots=True)
class Finding:
    """A miss or a false alarm."""

    stream: str
    batch_id: str
    line: int
    record_id: str
    """The id that the line shows; where it shows none, the one that it had before."""
    issue_type: str | None
    field: str | None


@dataclass(slots=True)
class Score:
    """How well a pipeline rejects."""

    tallies: dict[Stream, Tally]
    """The streams that were scored."""
    misses: list[Finding] = field(default_factory=list)
    """The first ones; the tallies count all."""
    false_alarms: list[Finding] = field(default_factory=list)
    """The first ones; the tallies count all."""
    rows_without_id: int = 0
    """Rows of the pipeline whose record has no id, and no line either."""
    ids_not_found: int = 0
    """Ids that the pipeline named and no record of the scored batches shows."""

    @property
    def overall(self) -> Tally:
        """The counts of all streams together."""
        return total(self.tallies.values())

    @property
    def recall(self) -> float | None:
        """Share of the records with an issue that were rejected; None if nothing that can be judged was injected."""
        recall: float | None = self.overall.facts()["recall"]
        return recall

    @property
    def precision(self) -> float | None:
        """Share of the rejected records that have an issue, collateral apart; None if nothing else was rejected."""
        precision: float | None = self.overall.facts()["precision"]
        return precision

    def recall_of(self, kind: str) -> float | None:
        """Return the recall of one type of issue; None if none was injected."""
        recall: float | None = self.overall.facts_of(kind)["recall"]
        return recall

    def facts(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        overall = self.overall
        return {
            **overall.facts(),
            "rows_without_id": self.rows_without_id,
            "ids_not_found": self.ids_not_found,
            "streams": {stream.value: tally.facts() for stream, tally in self.tallies.items()},
            "issue_types": {kind: overall.facts_of(kind) for kind in ISSUE_TYPES},
            "missed": [asdict(each) for each in self.misses],
            "falsely_rejected": [asdict(each) for each in self.false_alarms],
        }

    def require(self, recall: float | None = None, precision: float | None = None) -> None:
        """Raise DifferenceFound, saying what is missing, unless recall and precision are at least these."""
        faults = [*self._lacking_recall(recall), *self._lacking_precision(precision)]
        if faults:
            raise DifferenceFound(" ".join(faults))

    def _lacking_recall(self, least: float | None) -> Iterable[str]:
        facts = self.overall.facts()
        if least is None or (facts["recall"] is not None and facts["recall"] >= least):
            return
        if facts["recall"] is None:
            yield f"Nothing was injected that could be found, so there is no recall of at least {least:g}."
        else:
            judged = facts["hits"] + facts["misses"]
            yield (
                f"Recall is {facts['recall']:.4f}, less than {least:g}: {facts['misses']} of {judged} records with an "
                "issue were accepted."
            )

    def _lacking_precision(self, least: float | None) -> Iterable[str]:
        facts = self.overall.facts()
        if least is not None and facts["precision"] is not None and facts["precision"] < least:
            rejected = facts["hits"] + facts["false_alarms"]
            yield (
                f"Precision is {facts['precision']:.4f}, less than {least:g}: {facts['false_alarms']} of {rejected} "
                "rejected records have no issue."
            )
