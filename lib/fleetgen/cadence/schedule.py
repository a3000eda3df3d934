"""Owns which interval is next and what becomes of it: wait, make, or leave out. Pure: the present is a parameter.

Intervals tile time: each starts where the one before ended, and ends on the grid of whole multiples of its length since
the epoch. All instants and lengths are microseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fleetgen.domain.records import Interval


@dataclass(frozen=True, slots=True)
class Grid:
    """The points at which a stream's intervals end, in the segment in force."""

    step: int
    opened_at: int
    """The segment's instant."""
    previous_step: int | None = None
    """The step of the segment before; None in the first."""
    origin_start: int | None = None
    """Start of the stream's first interval of all, which is one step long wherever it lies."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before this instant."""

    interval: Interval


@dataclass(frozen=True, slots=True)
class Make:
    """The interval is due. ``late`` means that it fell due while nobody attended to it."""

    interval: Interval
    late: bool


@dataclass(frozen=True, slots=True)
class Skip:
    """So many intervals, together this span, are left out for good."""

    span: Interval
    intervals: int
    reason: Literal["paused", "downtime"]


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
    if stands_at == grid.origin_start:
        return Interval(stands_at, stands_at + grid.step)
    return Interval(stands_at, next_point(max(stands_at, grid.opened_at), grid.step))


def decide(
    stands_at: int,
    grid: Grid,
    now: int,
    attended_since: int,
    catch_up_limit: int,
    paused_when: Callable[[int], bool],
) -> Decision:
    """Say what becomes of the next interval.

    An interval that falls due in a pause is left out. Of those that fell due while nobody attended, the newest
    ``catch_up_limit`` are made and the older ones left out; the one that fell due in somebody's presence is always made.
    """
    interval = next_interval(stands_at, grid)
    if (lost := _lost_before_segment(stands_at, grid, catch_up_limit)) is not None:
        return lost
    if now < interval.end:
        return Wait(interval)
    if paused_when(interval.end):
        return _paused(interval, grid, now, paused_when)
    newest_end = interval.end + floor(now - interval.end, grid.step)
    due = 1 + (newest_end - interval.end) // grid.step
    attended = newest_end >= attended_since or stands_at == grid.origin_start
    keep = max(catch_up_limit, 1 if attended else 0)
    if due > keep:
        end = interval.end + (due - keep - 1) * grid.step
        return Skip(Interval(stands_at, end), due - keep, "downtime")
    return Make(interval, late=interval.end < attended_since)


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
    """Leave out every due interval from this one on that fell due in the pause."""
    low, high = 0, (now - interval.end) // grid.step
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if paused_when(interval.end + middle * grid.step) else (low, middle - 1)
    return Skip(Interval(interval.start, interval.end + low * grid.step), low + 1, "paused")
