"""Owns adding up a whole ledger, as fast as JSON can be read: what was published since the dataset began.

What one more line adds is `recording`'s. Millions of lines are made no objects; only what cannot be added up is.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fleetgen.domain.records import Stream, instant
from fleetgen.generation import recording
from fleetgen.storage.ledger import GapEntry, Ledger
from fleetgen.storage.manifest import Head, Totals
from fleetgen.storage.progress import Progress

_NO_ISSUES: dict[str, int] = {}


def head_of(ledger: Ledger, stream: Stream, start: int, progress: Progress) -> Head:
    """Return where a stream stands whose first interval begins at ``start``; raise ManifestError for a line that is none.

    When the last batch was published is not known.
    """
    head = Head(stands_at=start)
    read, size = 0, ledger.path.stat().st_size if ledger.path.exists() else 0
    for piece in ledger.pieces():
        try:
            head = _added(head, stream, ledger.plain(piece))
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ):  # a line that is none, which is named now, or an odd one
            for entry in ledger.checked(piece):
                head = recording.head_after(head, stream, entry, published_at=None, late=False)
        read += len(piece)
        progress(f"the ledger of {stream} is read, {read * 100 // size} % of {size >> 20:,} MiB")
    return head


def _added(head: Head, stream: Stream, lines: Sequence[dict[str, Any]]) -> Head:
    """Return where a stream stands after lines as they are in the file."""
    if not lines:
        return head
    batches = [line for line in lines if line["kind"] == "batch"]
    gaps = [line for line in lines if line["kind"] != "batch"]
    head = head.updated(stands_at=instant(lines[-1]["end"]), totals=_totals(head.totals, batches, gaps))
    if not batches:
        return head
    last = batches[-1]
    return head.updated(
        next_batch=last["batch_number"] + 1,
        next_company=last["company_count"] if stream is Stream.COMPANIES else 0,
        last_batch_id=last["batch_id"],
    )


def _totals(before: Totals, batches: Sequence[dict[str, Any]], gaps: Sequence[dict[str, Any]]) -> Totals:
    modes, missed, issues = Counter(before.batches), Counter(before.missed), Counter(before.issues)
    modes.update(line["mode"] for line in batches)
    for line in batches:
        for kind, count in line.get("issue_counts", _NO_ISSUES).items():
            issues[kind] += count
    for line in gaps:
        missed[GapEntry.model_validate(line).reason] += line["intervals"]
    return Totals(
        batches=dict(modes),
        records=before.records + sum(line["record_count"] for line in batches),
        bytes=before.bytes + sum(line["bytes"] for line in batches),
        missed=dict(missed),
        backfilled=before.backfilled,
        issues=dict(issues),
    )
