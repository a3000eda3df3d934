"""Owns how times and spans are written for people."""

from fleetgen.domain.records import SECOND, iso

_STEPS = ((120, 1, "s"), (120 * 60, 60, "min"), (48 * 3600, 3600, "h"))
"""Below so many seconds, a span is told in these units."""


def span(seconds: float) -> str:
    """Return a span of time in the unit that people would use, such as ``16 min``."""
    for below, unit, name in _STEPS:
        if seconds < below:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // 86_400)} days"


def clock_time(instant: str, now: int) -> str:
    """Return an instant (RFC 3339, UTC) as the time of day, with its date where that is not today's."""
    date, _, time = instant.partition("T")
    return time[:8] if date == iso(now)[:10] else f"{date} {time[:8]}"


def since(instant: int, now: int) -> str:
    """Return since when something is so, and for how long."""
    return f"since {clock_time(iso(instant), now)} ({span(max(0, now - instant) / SECOND)})"
