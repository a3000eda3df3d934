"""The companies of a dataset follow from its segments alone, whichever way they are computed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgen.domain.companies import BLOCK_COMPANIES, Fleet, active_fleet, company_block
from fleetgen.domain.records import Segment, Settings
from support.domain_cases import (
    QUARTER,
    batch_bytes,
    company_address,
    company_inputs,
    following_segment,
    only_segment,
    production,
)


@dataclass(frozen=True)
class Company:
    """What is known of a company."""

    number: int
    id: tuple[int, ...]
    active: bool
    base_seed: int


def all_companies(segments: Sequence[Segment], count: int) -> list[Company]:
    """Make every batch of companies, one after the other, and take the first so many companies."""
    companies: list[Company] = []
    batch = 0
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        end = following.first_company if following is not None else count
        while len(companies) < min(end, count):
            companies += companies_of_batch(segment.settings, batch, len(companies))
            batch += 1
    return companies[:count]


def companies_of_batch(settings: Settings, batch: int, first: int) -> list[Company]:
    companies: list[Company] = []
    size = settings.companies_per_batch
    for block, start in enumerate(range(0, size, BLOCK_COMPANIES)):
        rows = min(BLOCK_COMPANIES, size - start)
        columns = company_block(block, rows, company_address(settings, batch), settings, QUARTER)
        companies += [
            Company(first + start + row, tuple(columns.ids[row].tolist()), bool(columns.active[row]), settings.seed)
            for row in range(rows)
        ]
    return companies


def as_companies(fleet: Fleet) -> list[Company]:
    places = [place for place, _ in fleet.base_seeds]
    seeds = [seed for _, seed in fleet.base_seeds]
    return [
        Company(number, tuple(fleet.ids[row].tolist()), True, seeds[int(np.searchsorted(places, row, "right")) - 1])
        for row, number in enumerate(fleet.numbers.tolist())
    ]


def newest_active(companies: list[Company], most: int) -> list[Company]:
    active = [company for company in companies if company.active]
    return active[-most:] if most else active


def segments_of(*segments: tuple[Settings, int]) -> list[Segment]:
    """Segments with these settings, each of so many batches of companies."""
    chain = [only_segment(segments[0][0])]
    for (_, batches), (next_settings, _) in pairwise(segments):
        chain.append(following_segment(chain[-1], next_settings, batches))
    return chain


THREE_SEGMENTS = segments_of(
    (production(seed=42, companies_per_batch=7, active_probability=0.5), 5),
    (production(seed=43, companies_per_batch=1, active_probability=1.0), 9),
    (production(seed=42, companies_per_batch=300, active_probability=0.1), 3),
)

segment_plans = st.lists(
    st.tuples(
        st.builds(
            production,
            seed=st.sampled_from([0, 1, 42, 2**63 - 1]),
            companies_per_batch=st.sampled_from([1, 2, 7, 50]),
            active_probability=st.sampled_from([0.0, 0.05, 0.5, 0.97, 1.0]),
        ),
        st.integers(0, 8),
    ),
    min_size=1,
    max_size=4,
)


@given(plans=segment_plans, count=st.integers(0, 400), most=st.sampled_from([0, 1, 2, 10, 1000]))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_the_fleet_is_the_newest_active_of_all_companies_made(
    plans: list[tuple[Settings, int]], count: int, most: int
) -> None:
    segments = segments_of(*plans)

    fleet = active_fleet(segments, count, most)

    assert as_companies(fleet) == newest_active(all_companies(segments, count), most)


@pytest.mark.parametrize("count", [0, 1, 34, 35, 36, 44, 45, 200, 944])
@pytest.mark.parametrize("most", [0, 1, 17, 1_000_000])
def test_the_fleet_reaches_back_over_segments(count: int, most: int) -> None:
    fleet = active_fleet(THREE_SEGMENTS, count, most)

    assert as_companies(fleet) == newest_active(all_companies(THREE_SEGMENTS, count), most)


@pytest.mark.parametrize("most", [0, 5, 3000])
def test_the_fleet_of_large_batches_crosses_blocks_and_chunks(most: int) -> None:
    segments = segments_of((production(companies_per_batch=BLOCK_COMPANIES + 500, active_probability=0.3), 2))

    fleet = active_fleet(segments, 2 * (BLOCK_COMPANIES + 500), most)

    assert as_companies(fleet) == newest_active(all_companies(segments, 2 * (BLOCK_COMPANIES + 500)), most)


def test_a_fleet_without_active_companies_is_empty() -> None:
    segments = segments_of((production(active_probability=0.0), 3))

    assert len(active_fleet(segments, 300, 0)) == 0
    assert active_fleet(segments, 300, 10).base_seeds == ()


def test_no_company_in_reach_means_an_empty_fleet() -> None:
    assert len(active_fleet(THREE_SEGMENTS, 0, 0)) == 0


def test_the_fleet_is_what_the_published_batches_say() -> None:
    # given two batches each of two segments
    segments = segments_of(
        (production(seed=1, companies_per_batch=40, active_probability=0.5), 2),
        (production(seed=2, companies_per_batch=60, active_probability=0.5), 2),
    )

    # when their lines are read as a pipeline would
    lines = [
        json.loads(line)
        for batch, upto in ((0, 1), (1, 1), (2, 2), (3, 2))
        for line in batch_bytes(company_inputs(segments[:upto], batch)).splitlines()
    ]
    fleet = active_fleet(segments, len(lines), 0)

    # then the active ones, in order, are the fleet
    published = [number for number, line in enumerate(lines) if line["active"]]
    assert len(lines) == 200
    assert fleet.numbers.tolist() == published
    for pieces, number in zip(fleet.ids, published, strict=True):
        assert UUID(lines[number]["company_id"]).bytes == pieces.astype(">u2").tobytes()


def test_companies_of_a_later_segment_have_ids_of_their_own_under_the_same_seed() -> None:
    segments = segments_of((production(companies_per_batch=50), 4), (production(companies_per_batch=50), 4))

    ids = active_fleet(segments, 400, 0).ids

    assert len(np.unique(ids, axis=0)) == 400


@pytest.mark.parametrize("count", [1, 9, 49])
def test_a_company_does_not_depend_on_the_size_of_its_batch(count: int) -> None:
    settings_of_fifty = production()
    whole = company_block(0, 50, company_address(settings_of_fifty), settings_of_fifty, QUARTER)
    part = company_block(0, count, company_address(settings_of_fifty), settings_of_fifty, QUARTER)

    assert part.ids.tolist() == whole.ids[:count].tolist()
    assert part.active.tolist() == whole.active[:count].tolist()
