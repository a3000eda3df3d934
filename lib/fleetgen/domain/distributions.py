"""Owns the laws of counts and choices as integer threshold tables; leaves the drawing of words to `randomness`.

A table is computed with Python's integers alone, so it is the same on every machine, whatever its mathematical library.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.randomness import Words

_SCALE_BITS = 128


class CountTable:
    """A law of counts: maps 64-bit draws to whole numbers from ``least`` on."""

    def __init__(self, least: int, weights: Sequence[int]) -> None:
        total = sum(weights)
        cumulated = list(accumulate(weights))[:-1]
        self.least = least
        self.thresholds = np.array([(weight << 64) // total for weight in cumulated], dtype=np.uint64)

    def counts(self, high: Words, low: Words) -> NDArray[np.int64]:
        """Return a count for each pair of 32-bit words."""
        draws = (high << np.uint64(32)) | low
        return np.searchsorted(self.thresholds, draws, side="right").astype(np.int64) + self.least


@lru_cache(maxsize=64)
def poisson(mean: Fraction, least: int = 0, most: int | None = None) -> CountTable:
    """The Poisson law with this mean, conditioned on ``least`` … ``most`` (never cut, never padded).

    Weights run outwards from the likeliest count by w(k+1) = w(k)·mean/(k+1) in 128-bit fixed point, and end where
    they fall below its last bit.
    """
    likeliest = max(least, int(mean))
    if most is not None:
        likeliest = min(likeliest, most)
    numerator, denominator = mean.numerator, mean.denominator
    upward = [1 << _SCALE_BITS]
    while upward[-1] and (most is None or likeliest + len(upward) <= most):
        upward.append(upward[-1] * numerator // (denominator * (likeliest + len(upward))))
    while not upward[-1]:
        upward.pop()
    downward: list[int] = []
    weight, count = upward[0], likeliest
    while weight and count > least:
        weight = weight * count * denominator // numerator
        count -= 1
        downward.append(weight)
    return CountTable(count, downward[::-1] + upward)


def choice_thresholds(weights: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the names and, for all but the last, the 32-bit threshold below which a word chooses it or an earlier one."""
    return tuple(weights), _thresholds(tuple(weights.values()))


@lru_cache(maxsize=64)
def _thresholds(weights: tuple[float, ...]) -> tuple[int, ...]:
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    return tuple(int(part / total * 2**32) for part in accumulate(exact[:-1]))


def choose(words: Words, thresholds: Sequence[int]) -> NDArray[np.uint8]:
    """Return the index chosen by each 32-bit word."""
    chosen = np.zeros(words.shape, np.uint8)
    for threshold in thresholds:
        chosen += words >= np.uint64(threshold)
    return chosen
