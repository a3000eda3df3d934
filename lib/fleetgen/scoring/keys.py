"""Owns how a row of somebody's quarantine names a record: by stream, batch and line, or by the record's id."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, ISSUE_TYPES, Stream
from fleetgen.medallion.issues import ISSUE_OF_RULE

ID_COLUMNS = {Stream.COMPANIES: "company_id", Stream.EVENTS: "event_id"}
COLUMNS = tuple(
    dict.fromkeys(("stream", "batch_id", "line", "record_id", "issue_type", "rule", *EVENT_FIELDS, *COMPANY_FIELDS))
)
"""All that is looked at; other columns may be there."""

_ONLY_EVENTS = tuple(name for name in EVENT_FIELDS if name not in COMPANY_FIELDS)


class Key(NamedTuple):
    """What names a record: its place, or its id."""

    stream: Stream | None
    batch_id: str | None
    line: int | None
    record_id: str | None
    kind: str | None
    """The type of issue that it was rejected for, where that is told."""


def names_records(columns: Collection[str]) -> bool:
    """Whether rows with these columns can name a record."""
    return {"batch_id", "line"} <= set(columns) or not {"record_id", *ID_COLUMNS.values()}.isdisjoint(columns)


def key_of(row: Mapping[str, Any], default: Stream | None) -> Key | None:
    """Return what a row names; None if its record has no id, so that nobody can tell which it is.

    Where the row has no stream it is the default one, or follows from the fields. Raises ValueError with the fault.
    """
    stream = _stream(row, default)
    kind = _kind(row)
    if row.get("batch_id") is not None and row.get("line") is not None:
        if stream is None:
            raise ValueError("has no stream: add a column `stream` (companies or events), or name one with --stream")
        return Key(stream, str(row["batch_id"]), _line(row["line"]), None, kind)
    record_id = row.get("record_id")
    if record_id is None and stream is not None:
        record_id = row.get(ID_COLUMNS[stream])
    return None if record_id is None else Key(stream, None, None, str(record_id), kind)


def _stream(row: Mapping[str, Any], default: Stream | None) -> Stream | None:
    told = row.get("stream")
    if told is not None:
        try:
            return Stream(told)
        except ValueError as fault:
            raise ValueError(f"has the unknown stream {told!r}: write companies or events") from fault
    if default is not None:
        return default
    if any(row.get(name) is not None for name in _ONLY_EVENTS):
        return Stream.EVENTS
    return Stream.COMPANIES if any(row.get(name) is not None for name in COMPANY_FIELDS) else None


def _line(told: Any) -> int:
    """Read a line number; a whole float too, which is what some tools make of a column with gaps."""
    try:
        number = float("" if isinstance(told, bool) else told)
        if not number.is_integer():
            raise ValueError
    except (ValueError, TypeError) as fault:
        raise ValueError(f"has {told!r} as its line: write a whole number") from fault
    if number < 1:
        raise ValueError(f"has line {told}: lines count from 1, over the batch's parts")
    return int(number)


def _kind(row: Mapping[str, Any]) -> str | None:
    told = row.get("issue_type") or row.get("rule")
    kind = ISSUE_OF_RULE.get(told, told) if isinstance(told, str) else None
    return kind if kind in ISSUE_TYPES else None
