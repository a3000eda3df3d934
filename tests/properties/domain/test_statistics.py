"""What many batches have in common: counts, drivers, moments, types, geographies and activity follow their laws."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from fleetgen.domain.companies import BLOCK_COMPANIES, CompanyColumns, active_fleet, company_block
from fleetgen.domain.drivers import EventColumns
from fleetgen.domain.records import SECOND, Interval, Settings
from support.chi_square import assert_follows, assert_uniform, p_value, poisson_pmf
from support.domain_cases import (
    NOON,
    bare_fleet,
    company_address,
    emulated,
    event_plan,
    only_segment,
    production,
    whole_fleet,
)

TEN_SECONDS = Interval(NOON, NOON + 10 * SECOND)
QUARTER = Interval(NOON, NOON + 900 * SECOND)
DAY = Interval(NOON, NOON + 86_400 * SECOND)


def batch_counts(settings: Settings, companies: int, interval: Interval, batches: int) -> list[int]:
    fleet = bare_fleet(companies)
    return [event_plan(settings, fleet, batch, interval).count for batch in range(batches)]


def assert_counts_follow(counts: list[int], law: dict[int, float]) -> None:
    """Compare counts with a law of which what lies outside ``law`` belongs to its ends."""
    counts_in_order = sorted(law)
    expected = [law[count] * len(counts) for count in counts_in_order]
    expected[-1] += len(counts) - sum(expected)
    ends = np.clip(counts, counts_in_order[0], counts_in_order[-1])
    observed = [int((ends == count).sum()) for count in counts_in_order]
    assert_follows(observed, expected)


def poisson_law(mean: float) -> dict[int, float]:
    reach = 6 * sqrt(mean) + 10
    return {count: poisson_pmf(mean, count) for count in range(max(0, int(mean - reach)), int(mean + reach))}


def blocks_of(settings: Settings, companies: int, interval: Interval, batches: int) -> list[EventColumns]:
    fleet = bare_fleet(companies)
    plans = [event_plan(settings, fleet, batch, interval) for batch in range(batches)]
    return [plan.block(block) for plan in plans for block in range(len(plan.block_counts))]


def companies_of(settings: Settings, interval: Interval, batches: int) -> list[CompanyColumns]:
    return [
        company_block(0, settings.companies_per_batch, company_address(settings, batch), settings, interval)
        for batch in range(batches)
    ]


def test_the_chi_square_law_has_its_tabled_quantiles() -> None:
    assert p_value(3.841458820694124, 1) == pytest.approx(0.05)
    assert p_value(18.307038053275146, 10) == pytest.approx(0.05)
    assert p_value(149.4492527969, 100) == pytest.approx(0.001, rel=1e-6)
    assert p_value(3.940299136, 10) == pytest.approx(0.95, rel=1e-6)


@pytest.mark.parametrize(
    ("companies", "drivers", "rate", "interval"),
    [
        (1, 1, 0.01, QUARTER),
        (2, 3, 3.5, TEN_SECONDS),
        (5, 5, 2.0, QUARTER),
        (100, 10, 3.5, QUARTER),
        (1, 1, 1000.0, QUARTER),
    ],
)
def test_the_size_of_an_unbounded_batch_is_poisson(
    companies: int, drivers: int, rate: float, interval: Interval
) -> None:
    settings = production(drivers_per_company=drivers, event_rate_per_driver=rate)

    counts = batch_counts(settings, companies, interval, batches=3000)

    assert_counts_follow(counts, poisson_law(companies * drivers * rate * interval.seconds / 900))


@pytest.mark.parametrize(
    ("companies", "drivers", "rate", "interval"),
    [(101, 113, 3.5, QUARTER), (7, 1, 1000.0, DAY), (3, 3, 150.0, DAY)],
    ids=["blocks of many drivers", "blocks of one driver", "a last block of fewer drivers"],
)
def test_the_size_of_a_batch_of_several_blocks_is_poisson(
    companies: int, drivers: int, rate: float, interval: Interval
) -> None:
    settings = production(drivers_per_company=drivers, event_rate_per_driver=rate)
    assert len(event_plan(settings, bare_fleet(companies), 0, interval).block_counts) > 2

    counts = batch_counts(settings, companies, interval, batches=2000)

    assert_counts_follow(counts, poisson_law(companies * drivers * rate * interval.seconds / 900))


def test_each_block_of_an_unbounded_batch_is_poisson_and_owes_nothing_to_the_others() -> None:
    settings = production(drivers_per_company=100)
    plans = [event_plan(settings, bare_fleet(101), batch) for batch in range(1500)]
    blocks = np.array([plan.block_counts for plan in plans])
    drivers = [plans[0].block_drivers] * (blocks.shape[1] - 1)
    drivers.append(plans[0].drivers - sum(drivers))

    for block, block_drivers in enumerate(drivers):
        assert_counts_follow(blocks[:, block].tolist(), poisson_law(block_drivers * 3.5))
    correlations = np.corrcoef(blocks.T)[np.triu_indices(len(drivers), 1)]
    assert np.abs(correlations).max() < 4 / sqrt(len(plans))


@pytest.mark.parametrize(
    ("bounds", "batches"),
    [((5, 20), 3000), ((3, 10), 3000), ((10, 50), 3000), ((1, 2), 3000), ((1, 100_000), 300)],
)
def test_the_size_of_a_bounded_batch_is_poisson_on_condition_of_its_bounds(
    bounds: tuple[int, int], batches: int
) -> None:
    least, most = bounds
    settings = emulated(events_per_batch=bounds)
    law = {
        count: share
        for count, share in poisson_law((least + most) / 2).items()
        if least <= count <= most and share > 1e-12
    }

    counts = batch_counts(settings, 10, TEN_SECONDS, batches)

    assert least <= min(counts)
    assert max(counts) <= most
    assert_counts_follow(counts, {count: share / sum(law.values()) for count, share in law.items()})


def test_a_bounded_batch_of_several_blocks_keeps_its_bounds_and_spreads_over_its_drivers() -> None:
    settings = emulated(events_per_batch=(60_000, 60_200))
    plans = [event_plan(settings, bare_fleet(101), batch, TEN_SECONDS) for batch in range(200)]
    counts = [plan.count for plan in plans]
    totals = np.sum([plan.block_counts for plan in plans], axis=0)
    drivers = [plans[0].block_drivers] * (len(totals) - 1)
    drivers.append(plans[0].drivers - sum(drivers))

    assert len(totals) > 2
    assert drivers[-1] < drivers[0]
    assert min(counts) >= 60_000
    assert max(counts) <= 60_200
    assert len(set(counts)) > 50
    assert_follows(totals.tolist(), [sum(counts) * share / sum(drivers) for share in drivers])


@pytest.mark.parametrize("bounds", [None, (5, 20)])
def test_no_eligible_company_means_no_event(bounds: tuple[int, int] | None) -> None:
    settings = replace(emulated(active_probability=0.0), events_per_batch=bounds)

    assert event_plan(settings, whole_fleet(settings, 100)).count == 0


@pytest.mark.parametrize("drivers", [1, 10, 30, 900])
@pytest.mark.parametrize("seconds", [1, 60, 1234, 900])
def test_counts_grow_with_the_drivers_and_the_length_of_the_interval(drivers: int, seconds: int) -> None:
    settings = production(drivers_per_company=drivers, event_rate_per_driver=7.25)
    interval = Interval(NOON, NOON + seconds * SECOND)

    total = sum(batch_counts(settings, 20, interval, batches=300))

    mean = 300 * 20 * drivers * 7.25 * seconds / 900
    assert abs(total - mean) < 4 * sqrt(mean)


def test_a_bounded_batch_does_not_grow_with_its_interval() -> None:
    settings = emulated()

    assert batch_counts(settings, 10, TEN_SECONDS, 50) == batch_counts(settings, 10, DAY, 50)


def test_neighbouring_batches_and_base_seeds_have_sizes_of_their_own() -> None:
    sizes = [batch_counts(production(seed=seed), 100, QUARTER, 1000) for seed in (42, 43)]

    between_seeds = np.corrcoef(sizes[0], sizes[1])[0, 1]
    between_batches = np.corrcoef(sizes[0][1:], sizes[0][:-1])[0, 1]
    along_the_label = np.corrcoef(sizes[0][1:], sizes[1][:-1])[0, 1]

    assert max(abs(between_seeds), abs(between_batches), abs(along_the_label)) < 4 / sqrt(1000)


@pytest.mark.parametrize(
    "weights",
    [
        {"start driving": 0.40, "stopped driving": 0.35, "delivered": 0.25},
        {"delivered": 2.0, "start driving": 0.02},
    ],
)
def test_event_types_follow_their_weights(weights: dict[str, float]) -> None:
    settings = production(event_type_weights=weights)

    blocks = blocks_of(settings, 100, QUARTER, batches=30)

    types = np.concatenate([block.types for block in blocks])
    observed = np.bincount(types, minlength=len(weights)).tolist()
    assert blocks[0].type_names == tuple(weights)
    assert_follows(observed, [len(types) * weight / sum(weights.values()) for weight in weights.values()])


def test_an_event_type_without_weight_never_occurs() -> None:
    settings = production(event_type_weights={"start driving": 0.0, "stopped driving": 1.0, "delivered": 0.0})

    blocks = blocks_of(settings, 100, QUARTER, batches=5)

    assert set(np.concatenate([block.types for block in blocks]).tolist()) == {1}


@pytest.mark.parametrize("seconds", [1, 7, 10, 64, 900])
def test_moments_of_events_are_uniform_over_the_interval(seconds: int) -> None:
    interval = Interval(NOON, NOON + seconds * SECOND)
    ten_events_each = production(drivers_per_company=100, event_rate_per_driver=9000 / seconds)

    blocks = blocks_of(ten_events_each, 100, interval, batches=1)

    whole = np.concatenate([block.seconds for block in blocks])
    fraction = np.concatenate([block.microseconds for block in blocks])
    assert whole.min() >= 0
    assert whole.max() < seconds
    if seconds > 1:
        assert_uniform(np.bincount(whole, minlength=seconds).tolist())
    assert_uniform(np.bincount(fraction // 10_000, minlength=100).tolist())
    assert_uniform(np.bincount(fraction % 100, minlength=100).tolist())
    assert fraction.max() < SECOND


def test_moment_type_and_driver_of_an_event_owe_nothing_to_each_other() -> None:
    settings = production(drivers_per_company=50)
    blocks = blocks_of(settings, 100, QUARTER, batches=10)
    columns = [
        np.concatenate([block.seconds for block in blocks]) // 90,
        np.concatenate([block.microseconds for block in blocks]) // 100_000,
        np.concatenate([block.drivers for block in blocks]) // 500,
        np.concatenate([block.types for block in blocks]).astype(np.int64),
    ]

    for first in range(len(columns)):
        for second in range(first):
            table = np.bincount(columns[first] * 10 + columns[second], minlength=100).reshape(10, 10).astype(float)
            expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
            filled = expected > 0
            statistic = float(((table - expected)[filled] ** 2 / expected[filled]).sum())
            degrees = (int((table.sum(1) > 0).sum()) - 1) * (int((table.sum(0) > 0).sum()) - 1)
            assert p_value(statistic, degrees) > 0.001


def test_every_active_company_in_reach_appears_and_no_driver_is_favoured() -> None:
    settings = production(drivers_per_company=10, active_probability=0.5, companies_per_batch=100)
    fleet = active_fleet([only_segment(settings)], 200, 0)
    plans = [event_plan(settings, fleet, batch) for batch in range(40)]

    drivers = np.concatenate([plan.block(block).drivers for plan in plans for block in range(len(plan.block_counts))])

    assert 60 < len(fleet) < 140
    assert set((drivers // 10).tolist()) == set(range(len(fleet)))
    assert_uniform(np.bincount(drivers, minlength=10 * len(fleet)).tolist())


def test_no_driver_is_favoured_where_a_batch_has_several_blocks() -> None:
    settings = production(drivers_per_company=100)
    blocks = blocks_of(settings, 101, QUARTER, batches=10)

    drivers = np.concatenate([block.drivers for block in blocks])

    assert_uniform(np.bincount(drivers, minlength=10_100).tolist())


def test_no_driver_is_favoured_in_bounded_batches() -> None:
    blocks = blocks_of(emulated(), 5, TEN_SECONDS, batches=2000)

    drivers = np.concatenate([block.drivers for block in blocks])

    assert_uniform(np.bincount(drivers, minlength=50).tolist())


@pytest.mark.parametrize("bounds", [None, (900, 1100)])
@pytest.mark.parametrize("interval", [TEN_SECONDS, QUARTER], ids=["ten seconds", "a quarter of an hour"])
def test_no_company_is_favoured_among_billions_of_drivers(bounds: tuple[int, int] | None, interval: Interval) -> None:
    rare = production(drivers_per_company=10_000, event_rate_per_driver=1.5e-4 / interval.seconds)
    settings = replace(rare, events_per_batch=bounds)

    blocks = blocks_of(settings, 600_000, interval, batches=10)

    drivers = np.concatenate([block.drivers for block in blocks])
    assert_uniform(np.bincount(drivers // 600_000_000, minlength=10).tolist())


@pytest.mark.parametrize(
    "weights",
    [{"US": 0.5, "EU": 0.3, "SA": 0.15, "AUS": 0.05}, {"AUS": 3.0, "US": 1.0}, {"EU": 1e-3, "SA": 1.0}],
)
def test_geographies_follow_their_weights(weights: dict[str, float]) -> None:
    settings = production(geography_weights=weights, companies_per_batch=4000)

    blocks = companies_of(settings, QUARTER, batches=10)

    geographies = np.concatenate([block.geographies for block in blocks])
    observed = np.bincount(geographies, minlength=len(weights)).tolist()
    assert blocks[0].geography_names == tuple(weights)
    assert_follows(observed, [40_000 * weight / sum(weights.values()) for weight in weights.values()])


@pytest.mark.parametrize("probability", [0.01, 0.5, 0.85, 0.999])
def test_the_share_of_active_companies_is_the_probability(probability: float) -> None:
    settings = production(active_probability=probability, companies_per_batch=4000)

    active = np.concatenate([block.active for block in companies_of(settings, QUARTER, batches=10)])

    assert_follows([int(active.sum()), int((~active).sum())], [40_000 * probability, 40_000 * (1 - probability)])


@pytest.mark.parametrize(("probability", "outcome"), [(0.0, False), (1.0, True)])
def test_certain_activity_has_no_exception(probability: float, outcome: bool) -> None:
    settings = production(active_probability=probability, companies_per_batch=4000)

    for block in companies_of(settings, QUARTER, batches=3):
        assert set(block.active.tolist()) == {outcome}


@pytest.mark.parametrize("seconds", [1, 5, 3600, 86_400])
def test_companies_are_created_anywhere_in_the_interval(seconds: int) -> None:
    settings = production(companies_per_batch=BLOCK_COMPANIES)
    interval = Interval(NOON, NOON + seconds * SECOND)

    blocks = companies_of(settings, interval, batches=5)

    whole = np.concatenate([block.seconds for block in blocks])
    fraction = np.concatenate([block.microseconds for block in blocks])
    assert whole.min() >= 0
    assert whole.max() < seconds
    assert fraction.max() < SECOND
    if seconds > 1:
        assert_uniform(np.bincount(whole * min(seconds, 100) // seconds).tolist())
    assert_uniform(np.bincount(fraction // 10_000, minlength=100).tolist())


def test_ids_are_random_in_every_bit_that_is_free() -> None:
    blocks = companies_of(production(companies_per_batch=4000), QUARTER, batches=5)

    pieces = np.concatenate([block.ids for block in blocks])

    bits = (pieces[:, :, None] >> np.arange(16, dtype=np.uint16) & 1).reshape(len(pieces), 128).sum(axis=0)
    free = (bits > 0) & (bits < len(pieces))
    assert int(free.sum()) == 122
    assert float(np.abs(bits[free] - len(pieces) / 2).max()) < 4.5 * sqrt(len(pieces)) / 2
    assert len(np.unique(pieces, axis=0)) == len(pieces)
