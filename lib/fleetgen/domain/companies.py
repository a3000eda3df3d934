"""Owns companies: which there are, and what is true of each, computed from the segments alone.

Companies are numbered from 0 in the order of their batches. Writing them down is left to `encoding`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.distributions import choice_thresholds, choose
from fleetgen.domain.randomness import Address, Draws, Origin, Purpose, Words, below
from fleetgen.domain.records import Interval, Segment, Settings

BLOCK_COMPANIES = 4096
_KEPT_PLACES = 1024
"""Companies whose draws are kept together."""
_MOST_KEPT = 4
"""So many of these are asked for at once; more are drawn anew."""


@dataclass(frozen=True, slots=True)
class CompanyColumns:
    """A block of n companies as columns."""

    ids: NDArray[np.uint16]
    """(n, 8): the UUID in pieces of 16 bits, most significant first."""
    geographies: NDArray[np.uint8]
    """(n,): index into ``geography_names``."""
    geography_names: tuple[str, ...]
    active: NDArray[np.bool_]
    seconds: NDArray[np.int64]
    """(n,): whole seconds from the start of the interval to the creation."""
    microseconds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


def company_block(block: int, count: int, address: Address, settings: Settings, interval: Interval) -> CompanyColumns:
    """Return the first ``count`` companies of a block."""
    traits = address.at(Purpose.COMPANY_TRAITS, block).draws(count)
    return company_columns(traits, address.at(Purpose.COMPANY_ID, block).draws(count), settings, interval.seconds)


def company_columns(traits: Draws, ids: Draws, settings: Settings, seconds: int) -> CompanyColumns:
    """Return the companies that follow from these draws, created within so many seconds."""
    names, thresholds = choice_thresholds(settings.geography_weights)
    return CompanyColumns(
        ids=uuids(ids),
        geographies=choose(traits[0], thresholds),
        geography_names=names,
        active=is_active(traits[1], settings.active_probability),
        seconds=below(traits[2], seconds).astype(np.int64),
        microseconds=below(traits[3], 1_000_000).astype(np.int64),
    )


def is_active(words: Words, probability: float) -> NDArray[np.bool_]:
    """Return for each 32-bit word whether the company that drew it is active."""
    active: NDArray[np.bool_] = words < np.uint64(int(probability * 2**32))
    return active


def uuids(words: Draws) -> NDArray[np.uint16]:
    """Return random UUIDs (version 4, variant 1) from four 32-bit words each, as (n, 8) pieces of 16 bits."""
    pieces = np.empty((len(words[0]), 8), np.uint16)
    for position, word in enumerate(words):
        pieces[:, 2 * position] = word >> np.uint64(16)
        pieces[:, 2 * position + 1] = word & np.uint64(0xFFFF)
    pieces[:, 3] = pieces[:, 3] & 0x0FFF | 0x4000
    pieces[:, 4] = pieces[:, 4] & 0x3FFF | 0x8000
    return pieces


@dataclass(frozen=True, slots=True)
class Fleet:
    """The companies that send events in one batch, oldest first."""

    numbers: NDArray[np.int64]
    """(n,): company numbers, ascending."""
    ids: NDArray[np.uint16]
    """(n, 8): their UUIDs in pieces of 16 bits."""
    base_seeds: tuple[tuple[int, int], ...]
    """(position of the first company, base seed) of each run of companies that share a seed; trucks bear it."""

    def __len__(self) -> int:
        return len(self.numbers)


def active_fleet(segments: Sequence[Segment], company_count: int, most: int) -> Fleet:
    """Return the newest ``most`` active companies (0: all) among the first ``company_count``."""
    runs: list[tuple[Segment, NDArray[np.int64]]] = []
    wanted = most or company_count
    for segment, numbers in _newest_first(segments, company_count, chunk=max(wanted, 1024)):
        if wanted <= 0:
            break
        active = _active_among(segment, numbers)[-wanted:]
        wanted -= len(active)
        runs.append((segment, active))
    runs.reverse()
    return _assemble([run for run in runs if len(run[1])])


def _newest_first(
    segments: Sequence[Segment], company_count: int, chunk: int
) -> Iterator[tuple[Segment, NDArray[np.int64]]]:
    last = company_count
    for segment in reversed(segments):
        while last > segment.first_company:
            first = max(segment.first_company, last - chunk)
            yield segment, np.arange(first, last, dtype=np.int64)
            last = first


def _active_among(segment: Segment, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    probability = segment.settings.active_probability
    if probability >= 1:
        return numbers
    if probability <= 0:
        return numbers[:0]
    traits = _draws(segment, numbers, Purpose.COMPANY_TRAITS)
    return numbers[is_active(traits[1], probability)]


def _draws(segment: Segment, numbers: NDArray[np.int64], purpose: Purpose) -> Draws:
    """Return the draws of companies by number: the same that `company_block` makes batch by batch.

    Few companies reach the events of many batches: their draws are kept.
    """
    place = (segment.settings.seed, segment.first_company_batch, segment.settings.companies_per_batch)
    places = numbers - segment.first_company
    first, last = int(places[0]) // _KEPT_PLACES, int(places[-1]) // _KEPT_PLACES
    if last - first >= _MOST_KEPT:
        return _draws_at(*place, purpose, places)
    kept = [_kept_draws(*place, purpose, number) for number in range(first, last + 1)]
    at = places - first * _KEPT_PLACES
    word_0, word_1, word_2, word_3 = np.concatenate(kept, axis=1).take(at, axis=1)
    return word_0, word_1, word_2, word_3


@lru_cache(maxsize=2 * _MOST_KEPT)
def _kept_draws(seed: int, first_batch: int, per_batch: int, purpose: Purpose, number: int) -> NDArray[np.uint64]:
    """Return the draws of `_KEPT_PLACES` companies, (4, n)."""
    places = np.arange(number * _KEPT_PLACES, (number + 1) * _KEPT_PLACES)
    return np.stack(_draws_at(seed, first_batch, per_batch, purpose, places))


def _draws_at(seed: int, first_batch: int, per_batch: int, purpose: Purpose, places: NDArray[np.int64]) -> Draws:
    """Return the draws of companies by their places in a segment."""
    batches, places = np.divmod(places, per_batch)
    batches += first_batch
    blocks, draws = np.divmod(places, BLOCK_COMPANIES)
    address = Address(seed, Origin.COMPANIES, 0, purpose)
    return address.draws_at(draws.astype(np.uint64), blocks.astype(np.uint64), batches.astype(np.uint64))


def _assemble(runs: list[tuple[Segment, NDArray[np.int64]]]) -> Fleet:
    if not runs:
        return Fleet(np.empty(0, np.int64), np.empty((0, 8), np.uint16), ())
    seeds: list[tuple[int, int]] = []
    position = 0
    for segment, numbers in runs:
        if not seeds or seeds[-1][1] != segment.settings.seed:
            seeds.append((position, segment.settings.seed))
        position += len(numbers)
    return Fleet(
        numbers=np.concatenate([numbers for _, numbers in runs]),
        ids=np.concatenate([uuids(_draws(segment, numbers, Purpose.COMPANY_ID)) for segment, numbers in runs]),
        base_seeds=tuple(seeds),
    )
