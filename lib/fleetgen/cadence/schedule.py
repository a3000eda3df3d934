"""Owns which interval is next and what becomes of it: wait, make, or leave out. Pure: the present is a parameter.

Intervals tile time: each starts where the one before ended, and ends on the grid of whole multiples of its length since
the epoch. All instants and lengths are microseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fleetgen.domain.records import SECOND, Interval

HELD_UP = 15 * SECOND
"""For so long a process may be held up, by missing companies or a slow disk, before intervals are given up."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The points at which a stream's intervals end, in the segment in force."""

    step: int
    opened_at: int
    """The segment's instant."""
    previous_step: int | None = None
    """The step of the segment before; None in the first."""
    origin: Interval | None = None
    """The stream's first interval of all, which need not end on the grid."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before the interval's end, or a pause holds the stream's first interval back."""

    interval: Interval


@dataclass(frozen=True, slots=True)
class Make:
    """The interval is due. ``late``: it fell due while nobody attended to it; ``first``: it is the stream's first."""

    interval: Interval
    late: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """So many intervals, together this span, are left out for good."""

    span: Interval
    intervals: int
    reason: Literal["paused", "downtime", "backpressure", "disk"]


Withheld = Literal["backpressure", "disk"]
"""Why a batch may not be published though it is due: a consumer is behind, the disk is nearly full."""

Decision = Wait | Make | Skip


def floor(moment: int, step: int) -> int:
    """Return the last grid point at or before an instant."""
    return moment // step * step


def next_point(moment: int, step: int) -> int:
    """Return the first grid point after an instant."""
    return floor(moment, step) + step


def origin_starts(origin: int, company_step: int, driver_step: int) -> tuple[int, int]:
    """Return where the streams of companies and events begin, given the instant of the first start.

    The first batch of events covers the last full interval before it; that of companies ends where that starts.
    """
    events = floor(origin, driver_step) - driver_step
    return events - company_step, events


def next_interval(stands_at: int, grid: Grid) -> Interval:
    """Return the interval that follows for a stream that stands at this instant.

    The first of a segment runs to the first grid point after the segment's instant, so it may be short or long.
    """
    if grid.origin is not None and stands_at == grid.origin.start:
        return grid.origin
    return Interval(stands_at, next_point(max(stands_at, grid.opened_at), grid.step))


def decide(
    stands_at: int,
    grid: Grid,
    now: int,
    attended_since: int,
    catch_up_limit: int,
    paused_when: Callable[[int], bool],
    withheld: Withheld | None = None,
) -> Decision:
    """Say what becomes of the next interval.

    The stream's first interval is always made, if need be after a pause. Any other that falls due in a pause is left
    out, and so is one that nobody had made when the pause came. Of those that fell due while nobody attended, the newest
    ``catch_up_limit`` are made and the older ones left out; the one that fell due in somebody's presence is always made,
    unless something withholds it.
    """
    interval = next_interval(stands_at, grid)
    if interval == grid.origin:
        waits = now < interval.end or paused_when(now) or withheld is not None
        return Wait(interval) if waits else Make(interval, first=True)
    if now >= grid.opened_at and (lost := _lost_before_segment(stands_at, grid, catch_up_limit)) is not None:
        return lost
    if now < interval.end:
        return Wait(interval)
    if paused_when(now) or paused_when(interval.end):
        return _paused(interval, grid, now, paused_when)
    beyond = _beyond_limit(interval, grid, now, attended_since, catch_up_limit)
    if beyond > 0:
        return Skip(Interval(stands_at, interval.end + (beyond - 1) * grid.step), beyond, "downtime")
    if withheld is not None:
        return Skip(interval, 1, withheld)
    return Make(interval, late=interval.end < attended_since)


def _beyond_limit(interval: Interval, grid: Grid, now: int, attended_since: int, catch_up_limit: int) -> int:
    """Return how many of the due intervals, from this one on, are beyond what is caught up with."""
    due = 1 + (now - interval.end) // grid.step
    missed = min(due, max(0, -(-(attended_since - interval.end) // grid.step)))
    return missed - catch_up_limit if missed else due - max(catch_up_limit, 1, HELD_UP // grid.step)


def _lost_before_segment(stands_at: int, grid: Grid, catch_up_limit: int) -> Skip | None:
    """Leave out what an outage before the segment's opening cost, beyond the limit; the rest joins the first interval."""
    if grid.previous_step is None or stands_at >= grid.opened_at:
        return None
    missed = (grid.opened_at - stands_at) // grid.previous_step
    lost = missed - max(catch_up_limit, 1)
    if lost <= 0:
        return None
    return Skip(Interval(stands_at, stands_at + lost * grid.previous_step), lost, "downtime")


def _paused(interval: Interval, grid: Grid, now: int, paused_when: Callable[[int], bool]) -> Skip:
    """Leave out every due interval from this one on that fell due in the pause; while it lasts, all that are due."""
    low, high = 0, (now - interval.end) // grid.step
    low = high if paused_when(now) else low
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if paused_when(interval.end + middle * grid.step) else (low, middle - 1)
    return Skip(Interval(interval.start, interval.end + low * grid.step), low + 1, "paused")
