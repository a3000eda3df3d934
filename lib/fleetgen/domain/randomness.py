"""Owns all randomness: Philox4x32-10, addressed by (base seed, batch, stream, block, purpose, draw).

Every draw has an address and can be computed alone, so blocks can be made in any order and on any machine. Draws are
integers, and ranges, weights and counts are cut from them by integer arithmetic: no numpy distribution takes part, whose
values may change between versions. What the draws mean is left to the modules that make records.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC '11).
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Draws = tuple[Words, Words, Words, Words]
"""Four 32-bit words for each draw."""

_ROUNDS = 10
_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF
_SHIFT = np.uint64(32)
_MASK = np.uint64(_WORD)
_BATCH_HIGH_BITS = 16
_FEW_DRAWS = (1, 32, 256)
"""Up to so many draws are made for a batch together with those of the batches beside it."""
_DRAWS_AT_ONCE = 2048
"""So many draws of neighbours are made at once: they take little longer than those of one small batch."""


class Purpose(IntEnum):
    """What a stream of draws decides; one address space each, so that adding a purpose moves no other."""

    COMPANY_ID = 1
    COMPANY_TRAITS = 2
    EVENT_COUNT = 3
    EVENT_PLACEMENT = 4
    EVENT_TRAITS = 5
    EVENT_ID = 6
    ISSUE = 7
    ISSUE_DETAIL = 8


class Origin(IntEnum):
    """Where a batch belongs: a stream of the dataset, or a batch made by hand beside it."""

    COMPANIES = 1
    EVENTS = 2
    COMPANIES_BY_HAND = 3
    EVENTS_BY_HAND = 4


def philox4x32(counter: Draws, key: tuple[int, int]) -> Draws:
    """Return the four 32-bit output words of each counter, as uint64 arrays of the counters' shape.

    ``counter`` holds four uint64 arrays with values below 2**32, ``key`` two integers below 2**32. An array may have one
    element for all counters: the first rounds then have less to do.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    m0, m1 = (np.uint64(multiplier) for multiplier in _MULTIPLIERS)
    for _ in range(_ROUNDS):
        p0 = c0 * m0
        p1 = c2 * m1
        c0 = c1 ^ (p1 >> _SHIFT)
        c0 ^= np.uint64(k0)
        c2 = c3 ^ (p0 >> _SHIFT)
        c2 ^= np.uint64(k1)
        p0 &= _MASK
        p1 &= _MASK
        c1, c3 = p1, p0
        k0 = (k0 + _KEY_STEPS[0]) & _WORD
        k1 = (k1 + _KEY_STEPS[1]) & _WORD
    return c0, c1, c2, c3


@dataclass(frozen=True, slots=True)
class Address:
    """Names one stream of draws. ``batch`` is below 2**48, ``block`` below 2**32."""

    base_seed: int
    origin: Origin
    batch: int
    purpose: Purpose
    block: int = 0

    def at(self, purpose: Purpose, block: int = 0) -> "Address":
        """The stream of the same batch for another purpose or block."""
        return Address(self.base_seed, self.origin, self.batch, purpose, block)

    def draws(self, count: int, first: int = 0) -> Draws:
        """Return ``count`` draws of four 32-bit words each, beginning with draw number ``first``; they are read alone."""
        width = next((width for width in _FEW_DRAWS if first + count <= width), None)
        if width is not None:
            group, place = divmod(self.batch, _DRAWS_AT_ONCE // width)
            kept = _neighbours(Address(self.base_seed, self.origin, group, self.purpose, self.block), width)
            word_0, word_1, word_2, word_3 = kept[:, place, first : first + count]
            return word_0, word_1, word_2, word_3
        draw = np.arange(first, first + count, dtype=np.uint64)
        return self._compute(draw, np.array([self.block], np.uint64), np.array([self.batch], np.uint64))

    def draws_at(self, draws: Words, blocks: Words, batches: Words) -> Draws:
        """Return the four words of each (draw, block, batch): addresses of several batches in one go.

        The three arrays are uint64 of equal shape; this address gives the seed, the origin and the purpose.
        """
        return self._compute(draws, blocks, batches)

    def _compute(self, draw: Words, block: Words, batch: Words) -> Draws:
        place = np.uint64((int(self.origin) << 24) | (int(self.purpose) << _BATCH_HIGH_BITS))
        counter = (draw, block, batch & _MASK, (batch >> _SHIFT) | place)
        return philox4x32(counter, (self.base_seed & _WORD, self.base_seed >> 32))


@lru_cache(maxsize=16)
def _neighbours(group: Address, width: int) -> Words:
    """Return the first draws of each batch of a group, whose number stands for the batch: (4, batches, width)."""
    size = _DRAWS_AT_ONCE // width
    batches = np.arange(group.batch * size, (group.batch + 1) * size, dtype=np.uint64)[:, np.newaxis]
    draws = np.arange(width, dtype=np.uint64)[np.newaxis]
    words = np.stack(group.draws_at(draws, np.array([[group.block]], np.uint64), batches))
    words.flags.writeable = False
    return words


def below(words: Words, bound: int | NDArray[np.integer[Any]]) -> Words:
    """Map 32-bit words to whole numbers 0 … bound-1 by multiply-shift; ``bound``, one or one for each, is at most 2**32.

    Where a bound is 0, so is the number.

    The bias of a value is below bound / 2**32. Source: Lemire, "Fast random integer generation in an interval" (2019).
    """
    return (words * np.asarray(bound, np.uint64)) >> _SHIFT
