"""Owns driver events: how many a batch has, and which driver, moment and type each of them gets.

A batch is made in blocks of drivers. A block needs only its own address, so blocks can be made in any order. Companies
come from `companies`; writing events down is left to `encoding`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.companies import Fleet, uuids
from fleetgen.domain.distributions import choice_thresholds, choose, poisson
from fleetgen.domain.randomness import Address, Draws, Purpose, Words, below
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
        form = _KeyForm(_seconds_bits(self.interval.seconds))
        key = form.packed(self.address.at(Purpose.EVENT_TRAITS, number).draws(count), drivers, starts, ends, thresholds)
        key.sort()
        ids = self.address.at(Purpose.EVENT_ID, number).draws(count)
        return form.unpacked(key, ids, names, group * self.block_drivers)


@dataclass(frozen=True, slots=True)
class _KeyForm:
    """How an event lies in a sort key: driver, second, microsecond, type, from the highest bits to the lowest."""

    seconds_bits: int

    @property
    def driver_at(self) -> int:
        """The lowest bit of the driver."""
        return self.seconds_bits + _MICROSECOND_BITS + _TYPE_BITS

    def packed(
        self, traits: Draws, drivers: int | NDArray[np.int64], starts: int, ends: int, thresholds: Sequence[int]
    ) -> Words:
        """Return a key for each draw, of that many drivers and of the seconds from ``starts`` to ``ends``."""
        who, second, microsecond, kind = traits
        key = below(who, drivers) << np.uint64(self.seconds_bits)
        key |= below(second, ends - starts) + np.uint64(starts)
        key <<= np.uint64(_MICROSECOND_BITS)
        key |= below(microsecond, SECOND)
        key <<= np.uint64(_TYPE_BITS)
        key |= choose(kind, thresholds)
        return key

    def unpacked(self, key: Words, ids: Draws, names: tuple[str, ...], first_driver: int = 0) -> EventColumns:
        """Return the events of these keys, which are used up; ``ids`` are draws for their UUIDs."""
        types = _take_bits(key, _TYPE_BITS)
        microseconds = _take_bits(key, _MICROSECOND_BITS)
        seconds = _take_bits(key, self.seconds_bits)
        return EventColumns(
            ids=uuids(ids),
            drivers=key.astype(np.int64) + first_driver,
            seconds=seconds,
            microseconds=microseconds,
            types=types.astype(np.uint8),
            type_names=names,
        )


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Several batches of events, of one segment and of equally long intervals, each of one block."""

    address: Address
    """Gives the seed and the origin of all."""
    settings: Settings
    seconds: int
    """Length of each interval."""
    batches: Words
    """(n,): their numbers."""
    drivers: NDArray[np.int64]
    """(n,): drivers that can send events in each."""

    def counts(self) -> NDArray[np.int64] | None:
        """Return how many events each has, as `plan_events` decides; None where one of them has several blocks."""
        high, low, _, _ = self._draws(Purpose.EVENT_COUNT, np.zeros(len(self.batches), np.uint64), self.batches)
        counts = np.zeros(len(self.batches), np.int64)
        for drivers in filter(None, set(self.drivers.tolist())):
            mean = mean_count(self.settings, self.seconds, drivers)
            if _block_drivers(mean / drivers, self.seconds, drivers) < drivers:
                return None
            law = poisson(mean / drivers * drivers, *(self.settings.events_per_batch or ()))
            at = self.drivers == drivers
            counts[at] = law.counts(high[at], low[at])
        return counts

    def columns(self, counts: NDArray[np.int64]) -> EventColumns | None:
        """Make the events of all, batch by batch; a driver's place is that in the fleet of its batch.

        None where a sort key has no room for the batch beside the driver.
        """
        form = _KeyForm(_seconds_bits(self.seconds))
        driver_bits = int(self.drivers.max()).bit_length()
        batch_at = form.driver_at + driver_bits
        if batch_at + len(counts).bit_length() > _KEY_BITS:
            return None
        which = np.repeat(np.arange(len(counts)), counts)
        draw = (np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.uint64)
        batches = self.batches[which]
        names, thresholds = choice_thresholds(self.settings.event_type_weights)
        traits = self._draws(Purpose.EVENT_TRAITS, draw, batches)
        key = form.packed(traits, self.drivers[which], 0, self.seconds, thresholds)
        key |= which.astype(np.uint64) << np.uint64(batch_at)
        key.sort()
        key &= np.uint64((1 << batch_at) - 1)
        return form.unpacked(key, self._draws(Purpose.EVENT_ID, draw, batches), names)

    def _draws(self, purpose: Purpose, draw: Words, batches: Words) -> Draws:
        return self.address.at(purpose).draws_at(draw, np.zeros(1, np.uint64), batches)


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
    per_driver = mean_count(settings, interval.seconds, drivers) / drivers
    block_drivers = _block_drivers(per_driver, interval.seconds, drivers)
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
        plan = replace(plan, block_drivers=_block_drivers(per_driver, seconds, drivers), slices=slices)
    firsts = _first_draws(plan.block_drivers, drivers, seconds, plan.slices)
    return replace(plan, block_counts=_bounded_counts(plan.address, (count, count), firsts))


def mean_count(settings: Settings, seconds: int, drivers: int) -> Fraction:
    """Expected events of a batch of an interval of so many seconds from this many drivers."""
    if settings.events_per_batch is not None:
        return Fraction(sum(settings.events_per_batch), 2)
    return Fraction(settings.event_rate_per_driver) * drivers * seconds / RATE_SECONDS


def _block_drivers(per_driver: Fraction, seconds: int, drivers: int) -> int:
    """Drivers of a block: as many as send `BLOCK_EVENTS`, at least one, and no more than a sort key can tell apart."""
    distinct = 1 << (_KEY_BITS - _TYPE_BITS - _MICROSECOND_BITS - _seconds_bits(seconds))
    return min(max(1, int(BLOCK_EVENTS / per_driver)), distinct, _WORDS, drivers)


def _seconds_bits(seconds: int) -> int:
    return max(1, (seconds - 1).bit_length())


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
