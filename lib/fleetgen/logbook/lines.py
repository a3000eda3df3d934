"""Owns what one line of a log says: its time, its level, its fields. Finding lines in files is left to `log_stream`."""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "critical")
"""From the mildest to the worst."""

DEFAULT_LEVEL = "info"
"""The level of a line that names none."""

_TIME = re.compile(rb'"timestamp"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"')
_FIRST_KEY = '{"timestamp": "'
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. A line that is no JSON object has its text as ``event``, and the process's name as ``logger``."""

    timestamp: str
    """UTC with six decimals and ``Z``; a line without one has that of the line before it, else of the one after."""
    process: str
    """Whose file it is in."""
    level: str
    logger: str
    event: str
    extra: dict[str, Any]
    """All other fields; fit for strict JSON: no NaN, no lone surrogate. What a crash left in front of a line is `torn`."""
    as_json: str
    """The line as it was written, if that is a JSON object; else these fields as one."""


def time_of(raw: bytes) -> str | None:
    """Return the time that a line names itself, in UTC with six decimals, or None."""
    match = _TIME.search(raw)
    if match is None:
        return None
    text = match[1].decode()
    try:
        is_usual = len(text) == 27 and text.endswith("Z")
        return text if is_usual and datetime.fromisoformat(text) else normalised(text)
    except ValueError:
        return None


def normalised(text: str) -> str:
    """Return an RFC 3339 timestamp in UTC with six decimals; raise ValueError if it is none or has no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no zone")
    return spelled(moment)


def spelled(moment: datetime) -> str:
    """Return an instant as log lines spell it; raise ValueError for one outside the years 1 to 9999."""
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
    except OverflowError as fault:
        raise ValueError("lies outside the years 1 to 9999") from fault


def parse(raw: bytes, process: str, timestamp: str) -> LogLine:
    """Return what a line says; ``timestamp`` is its own or, where it has none, a neighbour's."""
    text = raw.decode(errors="replace")
    whole = _object(text)
    fields = dict(whole if whole is not None else _behind_torn(text))
    fields.pop("timestamp", None)
    level = str(fields.pop("level", DEFAULT_LEVEL)).lower()
    logger, event = str(fields.pop("logger", process)), fields.pop("event", text)
    first = {"timestamp": timestamp, "level": level, "logger": logger, "event": event}
    as_json = text if whole is not None else json.dumps({**first, **fields})
    return LogLine(timestamp, process, level, logger, str(event), fields, as_json)


def _behind_torn(text: str) -> dict[str, Any]:
    # A process that was killed while it wrote leaves half a line, and the next one writes on right behind it.
    start = text.rfind(_FIRST_KEY)
    line = _object(text[start:]) if start > 0 else None
    return {"event": text} if line is None else {**line, "torn": text[:start]}


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        return _whole_characters(value) if _SURROGATE.search(text) else value
    return None


def _finite(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _whole_characters(value: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(value, ensure_ascii=False)
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    loaded: dict[str, Any] = json.loads(clean)
    return loaded
