"""Owns driver events: how many a batch has, and which driver, moment and type each of them gets.

A batch is made in blocks of drivers. A block needs only its own address, so blocks can be made in any order. Companies
come from `companies`; writing events down is left to `encoding`.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.companies import Fleet, uuids
from fleetgen.domain.distributions import choice_thresholds, choose, poisson
from fleetgen.domain.randomness import Address, Purpose, Words, below
from fleetgen.domain.records import SECOND, Interval, Settings

BLOCK_EVENTS = 16_384
"""Expected events of a full block: some megabytes of lines."""

_LARGEST_BLOCK = 4 * BLOCK_EVENTS
_PLACED_AT_ONCE = 1 << 18

RATE_SECONDS = 900
"""The span, 15 minutes, that `event_rate_per_driver` counts in."""

_MICROSECOND_BITS = 20
_TYPE_BITS = 2
_KEY_BITS = 64
_WORDS = 1 << 32


@dataclass(frozen=True, slots=True)
class EventColumns:
    """A block of n events as columns, ordered by driver and then by time."""

    ids: NDArray[np.uint16]
    """(n, 8): the event's UUID in pieces of 16 bits, most significant first."""
    drivers: NDArray[np.int64]
    """(n,): place in the fleet: the company's position x drivers per company + the driver's number."""
    seconds: NDArray[np.int64]
    """(n,): whole seconds from the start of the interval."""
    microseconds: NDArray[np.int64]
    types: NDArray[np.uint8]
    """(n,): index into ``type_names``."""
    type_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.drivers)


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One batch of events before any of them is made: its blocks and their sizes."""

    address: Address
    settings: Settings
    interval: Interval
    fleet: Fleet
    block_drivers: int
    """Drivers in every block but the last."""
    block_counts: NDArray[np.int64]
    """(blocks,): events in each block."""
    slices: int = 1
    """Blocks that share the interval of the same drivers; several only where one driver alone has too many events."""

    @property
    def count(self) -> int:
        """Events in the batch."""
        return int(self.block_counts.sum())

    @property
    def drivers(self) -> int:
        """Drivers that can send events."""
        return len(self.fleet) * self.settings.drivers_per_company

    def block(self, number: int) -> EventColumns:
        """Make one block; no other is needed for it."""
        group, part = divmod(number, self.slices)
        drivers = min(self.block_drivers, self.drivers - group * self.block_drivers)
        starts, ends = (each * self.interval.seconds // self.slices for each in (part, part + 1))
        count = int(self.block_counts[number])
        names, thresholds = choice_thresholds(self.settings.event_type_weights)
        who, second, microsecond, kind = self.address.at(Purpose.EVENT_TRAITS, number).draws(count)
        key = below(who, drivers) << np.uint64(_seconds_bits(self.interval))
        key |= below(second, ends - starts) + np.uint64(starts)
        key <<= np.uint64(_MICROSECOND_BITS)
        key |= below(microsecond, SECOND)
        key <<= np.uint64(_TYPE_BITS)
        key |= choose(kind, thresholds)
        key.sort()
        return self._unpacked(key, number, names)

    def _unpacked(self, key: Words, number: int, names: tuple[str, ...]) -> EventColumns:
        types = _take_bits(key, _TYPE_BITS)
        microseconds = _take_bits(key, _MICROSECOND_BITS)
        seconds = _take_bits(key, _seconds_bits(self.interval))
        return EventColumns(
            ids=uuids(self.address.at(Purpose.EVENT_ID, number).draws(len(key))),
            drivers=key.astype(np.int64) + number // self.slices * self.block_drivers,
            seconds=seconds,
            microseconds=microseconds,
            types=types.astype(np.uint8),
            type_names=names,
        )


def _take_bits(key: Words, bits: int) -> NDArray[np.int64]:
    """Return the lowest bits of each key and shift them out of it."""
    values = (key & np.uint64((1 << bits) - 1)).view(np.int64)
    key >>= np.uint64(bits)
    return values


def plan_events(address: Address, settings: Settings, interval: Interval, fleet: Fleet) -> EventPlan:
    """Decide the size of a batch and of each of its blocks.

    Without bounds a block's count is Poisson(drivers x rate x length / 15 min), which makes the batch's count Poisson as
    well; with bounds the batch's count is Poisson around their middle, conditioned on them, and falls on the blocks as
    uniformly drawn drivers would have it.
    """
    drivers = len(fleet) * settings.drivers_per_company
    if not drivers:
        return EventPlan(address, settings, interval, fleet, 1, np.zeros(0, np.int64))
    per_driver = _mean_per_driver(settings, interval, drivers)
    block_drivers = _block_drivers(per_driver, interval, drivers)
    if settings.events_per_batch is None:
        counts = _poisson_counts(address, per_driver, block_drivers, drivers)
    else:
        counts = _bounded_counts(address, settings.events_per_batch, _first_draws(block_drivers, drivers))
    return EventPlan(address, settings, interval, fleet, block_drivers, counts)


def with_count(plan: EventPlan, count: int) -> EventPlan:
    """Return the plan with exactly this many events, as a batch made by hand may ask for.

    Where that would make blocks too large there are more of them, down to pieces of the interval of a single driver.
    """
    drivers, seconds = plan.drivers, plan.interval.seconds
    if count * plan.block_drivers > _LARGEST_BLOCK * drivers:
        per_driver = Fraction(count, drivers)
        slices = min(seconds, int(per_driver / BLOCK_EVENTS)) if per_driver > _LARGEST_BLOCK else 1
        plan = replace(plan, block_drivers=_block_drivers(per_driver, plan.interval, drivers), slices=slices)
    firsts = _first_draws(plan.block_drivers, drivers, seconds, plan.slices)
    return replace(plan, block_counts=_bounded_counts(plan.address, (count, count), firsts))


def mean_count(settings: Settings, interval: Interval, drivers: int) -> Fraction:
    """Expected events of a batch from this many drivers."""
    if settings.events_per_batch is not None:
        return Fraction(sum(settings.events_per_batch), 2)
    return Fraction(settings.event_rate_per_driver) * drivers * interval.seconds / RATE_SECONDS


def _mean_per_driver(settings: Settings, interval: Interval, drivers: int) -> Fraction:
    return mean_count(settings, interval, drivers) / drivers


def _block_drivers(per_driver: Fraction, interval: Interval, drivers: int) -> int:
    """Drivers of a block: as many as send `BLOCK_EVENTS`, at least one, and no more than a sort key can tell apart."""
    distinct = 1 << (_KEY_BITS - _TYPE_BITS - _MICROSECOND_BITS - _seconds_bits(interval))
    return min(max(1, int(BLOCK_EVENTS / per_driver)), distinct, _WORDS, drivers)


def _seconds_bits(interval: Interval) -> int:
    return max(1, (interval.seconds - 1).bit_length())


def _poisson_counts(address: Address, per_driver: Fraction, block_drivers: int, drivers: int) -> NDArray[np.int64]:
    blocks = -(-drivers // block_drivers)
    high, low, _, _ = address.at(Purpose.EVENT_COUNT).draws(blocks)
    counts = poisson(per_driver * block_drivers).counts(high, low)
    rest = drivers - (blocks - 1) * block_drivers
    counts[-1:] = poisson(per_driver * rest).counts(high[-1:], low[-1:])
    return counts


def _first_draws(block_drivers: int, drivers: int, seconds: int = 1, slices: int = 1) -> list[int]:
    """Return for each block the lowest 32-bit word that places an event in it: words fall evenly on drivers and seconds."""
    starts = [
        driver * seconds + part * seconds // slices
        for driver in range(0, drivers, block_drivers)
        for part in range(slices)
    ]
    return [-(-(start * _WORDS) // (drivers * seconds)) for start in starts]  # rounded up


def _bounded_counts(address: Address, bounds: tuple[int, int], firsts: list[int]) -> NDArray[np.int64]:
    """Draw how many events there are, within bounds, and place each in one of the blocks, which begin with these words."""
    least, most = bounds
    high, low, _, _ = address.at(Purpose.EVENT_COUNT).draws(1)
    total = int(poisson(Fraction(least + most, 2), least, most).counts(high, low)[0])
    if len(firsts) == 1:
        return np.array([total], np.int64)
    counts = np.zeros(len(firsts), np.int64)
    for first in range(0, total, _PLACED_AT_ONCE):
        words = address.at(Purpose.EVENT_PLACEMENT).draws(min(_PLACED_AT_ONCE, total - first), first)[0]
        placed = np.searchsorted(np.array(firsts[1:], np.uint64), words, side="right")
        counts += np.bincount(placed, minlength=len(firsts))
    return counts
