"""Owns the comparison of observed counts with a law: Pearson's chi-square test.

Source of the incomplete gamma function: Press et al., "Numerical Recipes", 3rd ed., section 6.2.
"""

import math
from collections.abc import Sequence

LEVEL = 0.001
"""Seeds are fixed, so a test that passes once passes always."""

_PRECISION = 1e-14


def assert_follows(observed: Sequence[int], expected: Sequence[float], least_expected: float = 10.0) -> None:
    """Fail unless the observed counts agree with the expected ones; neighbouring cells are joined where these are few."""
    assert sum(observed) == round(sum(expected)), "the expected counts leave some out"
    cells = _joined_cells(observed, expected, least_expected)
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in cells)
    chance = p_value(statistic, len(cells) - 1)
    assert chance > LEVEL, f"chi-square {statistic:.1f} in {len(cells)} cells has probability {chance:.2g}"


def assert_uniform(observed: Sequence[int]) -> None:
    """Fail unless all cells are equally likely."""
    assert_follows(observed, [sum(observed) / len(observed)] * len(observed))


def p_value(statistic: float, degrees: int) -> float:
    """Return the chance of a statistic at least this large: the regularized gamma function Q(degrees/2, statistic/2)."""
    shape, at = degrees / 2, statistic / 2
    if at <= 0:
        return 1.0
    if at < shape + 1:
        return 1.0 - _lower_by_series(shape, at)
    return _upper_by_fraction(shape, at)


def poisson_pmf(mean: float, count: int) -> float:
    """Return the probability of a count under the Poisson law."""
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def _joined_cells(
    observed: Sequence[int], expected: Sequence[float], least_expected: float
) -> list[tuple[float, float]]:
    cells: list[tuple[float, float]] = []
    seen = wanted = 0.0
    for one_observed, one_expected in zip(observed, expected, strict=True):
        seen, wanted = seen + one_observed, wanted + one_expected
        if wanted >= least_expected:
            cells.append((seen, wanted))
            seen = wanted = 0.0
    if cells:
        last_seen, last_wanted = cells.pop()
        seen, wanted = seen + last_seen, wanted + last_wanted
    cells.append((seen, wanted))
    assert len(cells) > 1, "too few cells to compare"
    return cells


def _prefactor(shape: float, at: float) -> float:
    return math.exp(-at + shape * math.log(at) - math.lgamma(shape))


def _lower_by_series(shape: float, at: float) -> float:
    term = total = 1 / shape
    step = shape
    while term > total * _PRECISION:
        step += 1
        term *= at / step
        total += term
    return total * _prefactor(shape, at)


def _upper_by_fraction(shape: float, at: float) -> float:
    tiny = 1e-300
    denominator = at + 1 - shape
    c, d = 1 / tiny, 1 / denominator
    fraction = d
    for step in range(1, 100_000):
        factor = -step * (step - shape)
        denominator += 2
        d = 1 / (factor * d + denominator or tiny)
        c = denominator + factor / c or tiny
        fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return fraction * _prefactor(shape, at)
