"""Count tables are the Poisson law, conditioned where it has bounds; choices follow their weights."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgen.domain.distributions import CountTable, choice_thresholds, choose, poisson
from fleetgen.domain.randomness import Words

GREATEST_DRAW = 2**64 - 1

MEANS = [
    Fraction(1, 10**12),
    Fraction(1, 3),
    Fraction(7, 2),
    Fraction(25, 2),
    Fraction(100),
    Fraction(3500, 3),
    Fraction(16_384),
    Fraction(96_000),
    Fraction(0.1) * 1234,
]

BOUNDS = [(1, 1), (1, 2), (5, 20), (3, 10), (10, 50), (7, 7), (99_999, 100_000), (100_000, 100_000), (1, 100_000)]


def exact_pmf(mean: Fraction, count: int) -> Decimal:
    """The Poisson probability to 40 digits or so; the factorial of a large count by Stirling's series."""
    with localcontext() as context:
        context.prec = 60
        exact_mean = Decimal(mean.numerator) / Decimal(mean.denominator)
        return (count * exact_mean.ln() - exact_mean - log_factorial(count)).exp()


def log_factorial(count: int) -> Decimal:
    if count < 300:
        return Decimal(math.factorial(count)).ln()
    x = Decimal(count)
    half_log_of_two_pi = Decimal("0.918938533204672741780329736405617639861397473637783412817152")
    corrections = [
        Decimal(1) / 12 / x,
        -Decimal(1) / 360 / x**3,
        Decimal(1) / 1260 / x**5,
        -Decimal(1) / 1680 / x**7,
        Decimal(1) / 1188 / x**9,
        -Decimal(691) / 360_360 / x**11,
    ]
    return (x + Decimal("0.5")) * x.ln() - x + half_log_of_two_pi + sum(corrections, Decimal(0))


def probabilities(table: CountTable) -> dict[int, Decimal]:
    """What the table gives each count, from its thresholds alone."""
    edges: list[int] = [0, *table.thresholds.tolist(), 2**64]
    shares = (Decimal(upper - lower) / 2**64 for lower, upper in pairwise(edges))
    return dict(enumerate(shares, table.least))


def words_of(draws: list[int]) -> tuple[Words, Words]:
    whole = np.array(draws, np.uint64)
    return whole >> np.uint64(32), whole & np.uint64(0xFFFFFFFF)


def counts_of(table: CountTable, draws: list[int]) -> list[int]:
    counts: list[int] = table.counts(*words_of(draws)).tolist()
    return counts


@pytest.mark.parametrize("mean", MEANS)
def test_the_table_is_the_poisson_law_to_the_last_bit_of_a_draw(mean: Fraction) -> None:
    shares = probabilities(poisson(mean))

    assert abs(sum(shares.values(), Decimal(0)) - 1) < Decimal("1e-15")
    for count, share in shares.items():
        assert abs(share - exact_pmf(mean, count)) <= Decimal(2) ** -63, count


@pytest.mark.parametrize("mean", MEANS)
def test_what_the_table_leaves_out_is_less_than_one_draw(mean: Fraction) -> None:
    shares = probabilities(poisson(mean))

    assert exact_pmf(mean, max(shares) + 1) < Decimal(2) ** -64
    assert min(shares) == 0 or exact_pmf(mean, min(shares) - 1) < Decimal(2) ** -64


@pytest.mark.parametrize(("least", "most"), BOUNDS)
def test_the_bounded_table_is_the_poisson_law_conditioned_on_its_bounds(least: int, most: int) -> None:
    mean = Fraction(least + most, 2)
    shares = probabilities(poisson(mean, least, most))
    within = {count: exact_pmf(mean, count) for count in shares}
    total = sum(within.values())

    assert least <= min(shares)
    assert max(shares) <= most
    for count, share in shares.items():
        assert abs(share - within[count] / total) <= Decimal(2) ** -63, count


def test_a_bounded_table_leans_neither_on_its_ends_nor_on_its_middle() -> None:
    shares = probabilities(poisson(Fraction(25, 2), 5, 20))

    ends_upwards = [shares[count] for count in (5, 6, 12)]
    ends_downwards = [shares[count] for count in (20, 19, 12)]
    assert ends_upwards == sorted(ends_upwards)
    assert ends_downwards == sorted(ends_downwards)


@pytest.mark.parametrize(("least", "most"), BOUNDS)
def test_no_draw_falls_outside_the_bounds(least: int, most: int) -> None:
    table = poisson(Fraction(least + most, 2), least, most)
    edges = table.thresholds.tolist()
    draws = [0, GREATEST_DRAW, *edges, *(max(0, edge - 1) for edge in edges)]

    counts = counts_of(table, draws)

    assert least <= min(counts)
    assert max(counts) <= most


@pytest.mark.parametrize("count", [1, 7, 5000, 100_000])
def test_equal_bounds_leave_one_count(count: int) -> None:
    assert set(counts_of(poisson(Fraction(count), count, count), [0, 1, 2**63, GREATEST_DRAW])) == {count}


def test_a_tiny_mean_gives_zero_but_for_the_last_draws() -> None:
    table = poisson(Fraction(5e-324))

    assert counts_of(table, [0, 2**63, GREATEST_DRAW]) == [0, 0, 0]
    assert counts_of(poisson(Fraction(1, 2**40)), [0, 2**64 - 2**23, GREATEST_DRAW])[:2] == [0, 1]


@given(
    mean=st.fractions(Fraction(1, 1000), 2000),
    least=st.integers(0, 500),
    width=st.integers(0, 500),
    draw=st.integers(0, GREATEST_DRAW),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_a_law_conditioned_far_from_its_mean_keeps_its_bounds_and_its_shape(
    mean: Fraction, least: int, width: int, draw: int
) -> None:
    table = poisson(mean, least, least + width)
    shares = probabilities(table)
    total = sum(exact_pmf(mean, count) for count in range(least, least + width + 1))

    assert least <= counts_of(table, [draw])[0] <= least + width
    for count, share in shares.items():
        assert abs(share - exact_pmf(mean, count) / total) <= Decimal(2) ** -60


@given(draws=st.lists(st.integers(0, GREATEST_DRAW), min_size=2))
@settings(derandomize=True, deadline=None)
def test_a_greater_draw_never_gives_a_smaller_count(draws: list[int]) -> None:
    counts = counts_of(poisson(Fraction(25, 2)), sorted(draws))

    assert counts == sorted(counts)


@pytest.mark.parametrize(
    "weights",
    [
        {"US": 1.0},
        {"US": 0.5, "EU": 0.5},
        {"US": 0.4, "EU": 0.35, "SA": 0.25},
        {"US": 1e9, "EU": 1e-9, "SA": 3.0},
        {"US": 0.0, "EU": 1.0, "SA": 0.0, "AUS": 2.0},
        {"US": 1.0, "EU": 0.0},
        {"US": 0.0, "EU": 5e-324},
    ],
)
def test_choices_have_the_share_of_their_weight(weights: dict[str, float]) -> None:
    names, thresholds = choice_thresholds(weights)
    edges = [0, *thresholds, 2**32]
    total = sum(map(Fraction, weights.values()))

    for name, lower, upper in zip(names, edges[:-1], edges[1:], strict=True):
        assert abs(Fraction(upper - lower, 2**32) - Fraction(weights[name]) / total) < Fraction(1, 2**31)
        if not weights[name]:
            assert lower == upper


@given(words=st.lists(st.integers(0, 2**32 - 1), min_size=1))
@settings(derandomize=True, deadline=None)
def test_each_word_chooses_the_cell_it_falls_in(words: list[int]) -> None:
    _, thresholds = choice_thresholds({"US": 0.0, "EU": 0.4, "SA": 0.35, "AUS": 0.25})

    chosen = choose(np.array(words, np.uint64), thresholds).tolist()

    assert chosen == [sum(word >= threshold for threshold in thresholds) for word in words]
    assert 0 not in chosen
