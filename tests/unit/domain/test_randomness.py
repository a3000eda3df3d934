"""Draws are Philox4x32-10, each with an address of its own."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgen.domain.randomness import Address, Origin, Purpose, Words, below, philox4x32

KNOWN_ANSWERS = [
    # from the file kat_vectors of Random123
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

HOME = Address(base_seed=42, origin=Origin.EVENTS, batch=7, purpose=Purpose.EVENT_TRAITS, block=3)

NEIGHBOURS = {
    "base seed": replace(HOME, base_seed=43),
    "high half of the base seed": replace(HOME, base_seed=42 + (1 << 32)),
    "base seed with its halves exchanged": replace(HOME, base_seed=42 << 32),
    "origin": replace(HOME, origin=Origin.EVENTS_BY_HAND),
    "batch": replace(HOME, batch=8),
    "high part of the batch": replace(HOME, batch=7 + (1 << 32)),
    "purpose": replace(HOME, purpose=Purpose.EVENT_ID),
    "block": replace(HOME, block=4),
    "batch and block exchanged": replace(HOME, batch=3, block=7),
    "seed and batch moved against each other": replace(HOME, base_seed=43, batch=6),
}

addresses = st.builds(
    Address,
    base_seed=st.integers(0, 2**63 - 1),
    origin=st.sampled_from(Origin),
    batch=st.integers(0, 2**48 - 1),
    purpose=st.sampled_from(Purpose),
    block=st.integers(0, 2**32 - 1),
)


def counter_of(words: tuple[int, ...]) -> tuple[Words, Words, Words, Words]:
    c0, c1, c2, c3 = (np.array([word], np.uint64) for word in words)
    return c0, c1, c2, c3


def rows_of(draws: tuple[Words, Words, Words, Words]) -> set[tuple[int, ...]]:
    return set(zip(*(words.tolist() for words in draws), strict=True))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]
) -> None:
    assert rows_of(philox4x32(counter_of(counter), key)) == {answer}


def test_philox_gives_the_known_answers_side_by_side() -> None:
    counter = counter_of(KNOWN_ANSWERS[0][0])
    many = tuple(np.repeat(words, 1000) for words in counter)

    answers = philox4x32((many[0], many[1], many[2], many[3]), KNOWN_ANSWERS[0][1])

    assert rows_of(answers) == {KNOWN_ANSWERS[0][2]}


def test_philox_leaves_its_counters_as_they_were() -> None:
    counter = counter_of(KNOWN_ANSWERS[2][0])

    philox4x32(counter, KNOWN_ANSWERS[2][1])

    assert [int(words[0]) for words in counter] == list(KNOWN_ANSWERS[2][0])


def test_draws_at_leaves_the_addresses_as_they_were() -> None:
    draws, blocks, batches = (np.arange(first, first + 5, dtype=np.uint64) for first in (0, 10, 20))

    HOME.draws_at(draws, blocks, batches)

    assert [words.tolist() for words in (draws, blocks, batches)] == [[*range(f, f + 5)] for f in (0, 10, 20)]


@pytest.mark.parametrize("neighbour", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_addresses_that_differ_in_one_thing_share_no_draw(neighbour: Address) -> None:
    assert rows_of(HOME.draws(5000)).isdisjoint(rows_of(neighbour.draws(5000)))


def test_no_draw_of_an_address_comes_twice() -> None:
    assert len(rows_of(HOME.draws(100_000))) == 100_000


@given(one=addresses, other=addresses)
@settings(derandomize=True, deadline=None)
def test_any_two_addresses_share_no_draw(one: Address, other: Address) -> None:
    if one != other:
        assert rows_of(one.draws(20)).isdisjoint(rows_of(other.draws(20)))


@given(address=addresses, count=st.integers(0, 50), skipped=st.integers(0, 50))
@settings(derandomize=True, deadline=None)
def test_draws_can_be_made_from_any_draw_on(address: Address, count: int, skipped: int) -> None:
    skipped = min(skipped, count)

    whole = address.draws(count)
    rest = address.draws(count - skipped, first=skipped)

    for whole_words, rest_words in zip(whole, rest, strict=True):
        assert whole_words[skipped:].tolist() == rest_words.tolist()


@given(
    address=addresses,
    places=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1)), min_size=1),
)
@settings(derandomize=True, deadline=None)
def test_draws_of_several_batches_equal_those_of_each_alone(
    address: Address, places: list[tuple[int, int, int]]
) -> None:
    draws, blocks, batches = (np.array(column, np.uint64) for column in zip(*places, strict=True))

    together = address.draws_at(draws, blocks, batches)

    for row, (draw, block, batch) in enumerate(places):
        alone = replace(address, batch=batch, block=block).draws(1, first=draw)
        assert [int(words[row]) for words in together] == [int(words[0]) for words in alone]


def test_words_have_32_bits_and_use_all_of_them() -> None:
    for words in HOME.draws(10_000):
        assert int(words.max()) < 2**32
        assert int(np.bitwise_or.reduce(words)) == 2**32 - 1
        assert int(np.bitwise_and.reduce(words)) == 0


@given(word=st.integers(0, 2**32 - 1), bound=st.integers(1, 2**32))
@settings(derandomize=True, deadline=None)
def test_below_scales_a_word_to_the_bound(word: int, bound: int) -> None:
    assert below(np.array([word], np.uint64), bound).tolist() == [word * bound // 2**32]


@pytest.mark.parametrize("bound", [1, 2, 10, 1_000_000, 2**32 - 1, 2**32])
def test_below_reaches_from_zero_to_just_under_the_bound(bound: int) -> None:
    ends = np.array([0, 2**32 - 1], np.uint64)

    assert below(ends, bound).tolist() == [0, bound - 1]


@pytest.mark.parametrize("batch", [0, 7, 63, 64, 2047, 2048, (1 << 32) - 1, 1 << 32, (1 << 48) - 1])
@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 2), (5, 27), (5, 28), (0, 256), (250, 7), (0, 0)])
def test_draws_made_with_those_of_other_batches_are_a_batchs_own(batch: int, first: int, count: int) -> None:
    address = replace(HOME, batch=batch)
    numbers = np.arange(first, first + count, dtype=np.uint64)

    found = address.draws(count, first)

    alone = address.draws_at(numbers, np.full(count, address.block, np.uint64), np.full(count, batch, np.uint64))
    assert all(np.array_equal(*words) for words in zip(found, alone, strict=True))
