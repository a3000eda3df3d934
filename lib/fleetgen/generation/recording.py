"""Owns what is written down about a batch: its meta, its ledger line, and the head after it."""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetgen import __version__
from fleetgen.cadence.schedule import Skip
from fleetgen.domain.records import ISSUE_TYPES, SCHEMA_VERSION, Segment, Stream, batch_id, instant, iso, utc
from fleetgen.errors import FleetgenError
from fleetgen.storage.bronze import Part, read_meta
from fleetgen.storage.files import discard_replacements, replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, GapEntry, GapReason
from fleetgen.storage.manifest import Head, Manifest

if TYPE_CHECKING:
    from fleetgen.domain.batches import BatchInputs


class DamagedMeta(FleetgenError):
    """A batch's meta is damaged."""


CLOCK_KEYS = ("scheduled_at", "started_at", "generation_time", "duration_seconds")
"""The keys of a meta that tell when and how fast it was made; all others follow from the manifest."""


def batch_meta(
    inputs: "BatchInputs",
    parts: list[Part],
    sha256: str,
    issues: Mapping[str, int],
    schema_version: int = SCHEMA_VERSION,
) -> dict[str, Any]:
    """Return what a batch's meta says apart from the clock."""
    count, corrupted = sum(part.record_count for part in parts), sum(issues.values())
    return {
        "schema_version": schema_version,
        "generator_version": __version__,
        "stream": inputs.stream.value,
        "batch_id": inputs.interval.batch_id,
        "batch_number": inputs.number,
        "segment": inputs.segment.number,
        "generation_mode": inputs.segment.settings.mode,
        "interval_start": iso(inputs.interval.start),
        "interval_end": iso(inputs.interval.end),
        "record_count": count,
        "event_count": count,
        "valid_count": count - corrupted,
        "corrupted_count": corrupted,
        "issue_counts": {kind: issues[kind] for kind in ISSUE_TYPES if kind in issues},
        "company_count": inputs.company_count,
        "base_seed": inputs.segment.settings.seed,
        "seed": inputs.seed,
        "sha256": sha256,
        "bytes": sum(part.bytes for part in parts),
        "parts": [
            {"file": part.file, "record_count": part.record_count, "bytes": part.bytes, "sha256": part.sha256}
            for part in parts
        ],
    }


def clock_meta(scheduled_at: int, started_at: int, finished_at: int) -> dict[str, Any]:
    """Return what a meta says of the clock."""
    values = (iso(scheduled_at), iso(started_at), iso(finished_at), (finished_at - started_at) / 1_000_000)
    return dict(zip(CLOCK_KEYS, values, strict=True))


def clock_of(layout: Layout, stream: Stream, entry: BatchEntry) -> tuple[int, int, int]:
    """Return when a batch was due, begun and finished, as its meta tells; the end of its interval where it does not."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        meta = read_meta(layout, stream, entry.batch_id) or {}
        scheduled_at, started_at, finished_at = (instant(meta[key]) for key in CLOCK_KEYS[:3])
        return scheduled_at, started_at, finished_at
    return (entry.interval.end,) * 3


def ledger_entry(meta: dict[str, Any]) -> BatchEntry:
    """Return the ledger's line for a batch with this meta."""
    return BatchEntry(
        start=meta["interval_start"],
        end=meta["interval_end"],
        segment=meta["segment"],
        company_count=meta["company_count"],
        batch_number=meta["batch_number"],
        batch_id=meta["batch_id"],
        mode=meta["generation_mode"],
        record_count=meta["record_count"],
        valid_count=meta["valid_count"],
        corrupted_count=meta["corrupted_count"],
        issue_counts=meta["issue_counts"],
        bytes=meta["bytes"],
        parts=len(meta["parts"]),
        sha256=meta["sha256"],
        schema_version=meta["schema_version"],
    )


def told_entry(layout: Layout, stream: Stream, name: str) -> BatchEntry | None:
    """Return the ledger's line of a published batch as its meta tells, None where there is no meta; raise DamagedMeta."""
    try:
        meta = read_meta(layout, stream, name)
        entry = None if meta is None else ledger_entry(meta)
        same = meta is None or entry is None or (meta["stream"], batch_id(entry.interval.start)) == (stream.value, name)
    except (ValueError, KeyError, TypeError) as fault:
        raise DamagedMeta(f"{layout.batch_meta(stream, name)} is damaged.") from fault
    if not same:
        raise DamagedMeta(f"{layout.batch_meta(stream, name)} is of another batch.")
    return entry


def gap_entry(manifest: Manifest, skip: Skip, reason: GapReason, detail: str | None) -> GapEntry:
    """Return the ledger's line for intervals that are left out."""
    return GapEntry(
        start=iso(skip.span.start),
        end=iso(skip.span.end),
        segment=manifest.segments[-1].number,
        company_count=manifest.head(Stream.COMPANIES).next_company,
        reason=reason,
        intervals=skip.intervals,
        detail=detail,
    )


def head_after(head: Head, stream: Stream, entry: BatchEntry | GapEntry, published_at: int | None, late: bool) -> Head:
    """Return where a stream stands after this entry."""
    totals = head.totals
    if isinstance(entry, GapEntry):
        missed = {**totals.missed, entry.reason: totals.missed.get(entry.reason, 0) + entry.intervals}
        return head.updated(stands_at=entry.interval.end, totals=totals.updated(missed=missed))
    totals = totals.updated(
        batches={**totals.batches, entry.mode: totals.batches.get(entry.mode, 0) + 1},
        records=totals.records + entry.record_count,
        bytes=totals.bytes + entry.bytes,
        backfilled=totals.backfilled + late,
        issues=dict(Counter(totals.issues) + Counter(entry.issue_counts)),
    )
    return head.updated(
        stands_at=entry.interval.end,
        next_batch=entry.batch_number + 1,
        next_company=entry.company_count if stream is Stream.COMPANIES else 0,
        last_batch_id=entry.batch_id,
        last_published_at=published_at if published_at is not None else head.last_published_at,
        totals=totals,
    )


def data_files(folder: Path, stream: Stream) -> list[Path]:
    """Return a batch's data files, in order."""
    return sorted(folder / name for name in data_names(folder, stream))


def data_names(folder: Path, stream: Stream) -> set[str]:
    """Return the names of a batch's data files."""
    start = stream.value
    return {each.name for each in os.scandir(folder) if each.name.startswith(start) and each.name.endswith(".jsonl")}


def discard_unfinished(layout: Layout, stream: Stream) -> None:
    """Remove what a kill left of files being replaced; under the manifest's lock and the stream's own."""
    for path in (layout.manifest, layout.pruned(stream)):
        discard_replacements(path.parent, path.name)
    if layout.dataset_note.exists():  # otherwise the other stream's process may just be writing it
        discard_replacements(layout.dataset_note.parent, layout.dataset_note.name)
    discard_replacements(layout.segments, "*.toml")
    if stream is Stream.EVENTS:
        discard_replacements(layout.manifests, layout.batch_manifest.name)
    else:
        (layout.raw / ".companies.jsonl.new").unlink(missing_ok=True)


def write_dataset_note(layout: Layout, manifest: Manifest, segment: Segment) -> None:
    """Write, once per dataset, what it is and how to make it again."""
    settings = segment.settings
    note = f"""# Dataset {manifest.dataset_id}

Begun {utc(manifest.origin or 0):%Y-%m-%d %H:%M:%S} UTC in {settings.mode} mode by fleetgen {__version__}, algorithm
{segment.algorithm}.

- Base seed: {settings.seed}
- Settings of each segment: `segments/0001.toml` and those that follow it
- Every batch and every gap: `ledger/companies.jsonl`, `ledger/events.jsonl`

The bytes follow from the segments and the ledgers alone:

    fleetgen verify --all                      makes every batch again and compares its hash
    fleetgen replay events BATCH_ID            prints one batch, byte for byte
"""
    replace_file(layout.dataset_note, note.encode())
