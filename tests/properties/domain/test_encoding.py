"""Lines have exactly the fields, order and forms of the contract, whatever the chunks, blocks and parts."""

import json
import random
import re
import tracemalloc
from collections.abc import Iterator
from datetime import datetime
from uuid import RFC_4122, UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetgen.domain.batches import PART_ROWS, Batch, BatchInputs, event_batch, make_batch
from fleetgen.domain.companies import BLOCK_COMPANIES, Fleet, active_fleet, company_block
from fleetgen.domain.drivers import EventPlan
from fleetgen.domain.records import EVENT_TYPES, GEOGRAPHIES, SECOND, Interval, Segment, Settings, instant, iso
from fleetgen.domain.text import Bytes, Lines
from support.domain_cases import (
    QUARTER,
    bare_fleet,
    batch_bytes,
    company_address,
    company_inputs,
    event_inputs,
    event_plan,
    following_segment,
    only_segment,
    production,
)

CHUNKS = [1, 7, 500, 8192, 100_000]

NEW_YEAR = Interval(instant("2025-12-31T23:59:55Z"), instant("2026-01-01T00:00:05Z"))
THREE_DAYS = Interval(instant("2024-02-28T06:00:00Z"), instant("2024-03-02T06:00:00Z"))

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def uuid_of(pieces: Bytes) -> str:
    return str(UUID(bytes=pieces.astype(">u2").tobytes()))


def line_of(record: dict[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def reference_companies(settings: Settings, batch: int, interval: Interval) -> Iterator[bytes]:
    """Write the companies of a batch down one by one."""
    size = settings.companies_per_batch
    for block, first in enumerate(range(0, size, BLOCK_COMPANIES)):
        count = min(BLOCK_COMPANIES, size - first)
        columns = company_block(block, count, company_address(settings, batch), settings, interval)
        for row in range(count):
            at = interval.start + int(columns.seconds[row]) * SECOND + int(columns.microseconds[row])
            yield line_of(
                {
                    "company_id": uuid_of(columns.ids[row]),
                    "geography": columns.geography_names[columns.geographies[row]],
                    "active": bool(columns.active[row]),
                    "created_at": iso(at),
                }
            )


def reference_block(plan: EventPlan, block: int) -> Iterator[bytes]:
    """Write the events of a block down one by one."""
    columns = plan.block(block)
    for row in range(len(columns)):
        position, driver = divmod(int(columns.drivers[row]), plan.settings.drivers_per_company)
        company = uuid_of(plan.fleet.ids[position])
        seed = [seed for first, seed in plan.fleet.base_seeds if first <= position][-1]
        truck = int(plan.fleet.numbers[position]) * 10_000 + driver
        at = plan.interval.start + int(columns.seconds[row]) * SECOND + int(columns.microseconds[row])
        yield line_of(
            {
                "event_id": uuid_of(columns.ids[row]),
                "driver_id": f"DRV-{company}-{driver:03d}",
                "company_id": company,
                "truck_id": f"TRK-{seed}-{truck:04d}",
                "event_type": columns.type_names[columns.types[row]],
                "timestamp": iso(at),
            }
        )


def reference_events(inputs: BatchInputs) -> bytes:
    fleet = active_fleet(inputs.segments, inputs.company_count, inputs.segment.settings.max_active_companies)
    plan = event_plan(inputs.segment.settings, fleet, inputs.number, inputs.interval)
    return b"".join(line for block in range(len(plan.block_counts)) for line in reference_block(plan, block))


def plan_bytes(plan: EventPlan, chunk_rows: int = 8192) -> bytes:
    return b"".join(bytes(chunk) for chunk in event_batch(plan).clean_lines(chunk_rows=chunk_rows))


def numbered_fleet(numbers: list[int], *seeds: tuple[int, int]) -> Fleet:
    """Companies with these numbers and ids that tell them apart."""
    ids = np.array([[number % 65_536, 1, 2, 0x4003, 0x8004, 5, 6, 7] for number in numbers], np.uint16)
    return Fleet(np.array(numbers, np.int64), ids, seeds)


def assert_is_instant_within(text: str, interval: Interval) -> None:
    assert INSTANT.fullmatch(text)
    assert interval.start <= instant(text) < interval.end
    assert datetime.fromisoformat(text).utcoffset() is not None


def assert_is_random_uuid(text: object) -> None:
    assert isinstance(text, str)
    assert str(UUID(text)) == text
    assert UUID(text).version == 4
    assert UUID(text).variant == RFC_4122


fleet_settings = st.builds(
    production,
    seed=st.sampled_from([0, 7, 42, 2**63 - 1]),
    drivers_per_company=st.sampled_from([1, 3, 10, 1001, 10_000]),
    max_active_companies=st.sampled_from([0, 1, 5]),
    event_rate_per_driver=st.sampled_from([0.001, 0.02, 0.3, 3.5]),
    geography_weights=st.sampled_from([{"US": 1.0}, {"AUS": 1.0, "EU": 2.0}, {"SA": 0.0, "US": 1.0, "AUS": 0.5}]),
    active_probability=st.sampled_from([0.0, 0.5, 1.0]),
    event_type_weights=st.sampled_from([{"delivered": 1.0}, dict.fromkeys(EVENT_TYPES, 1.0)]),
    companies_per_batch=st.integers(1, 12),
    events_per_batch=st.sampled_from([None, (1, 1), (5, 20), (150, 400)]),
)

intervals = st.builds(
    lambda start, seconds: Interval(start * SECOND, (start + seconds) * SECOND),
    st.integers(0, 4_000_000_000),
    st.integers(1, 200),
)


@given(segment_settings=fleet_settings, interval=intervals, batch=st.integers(0, 2**40), chunk_rows=st.integers(1, 50))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_companies_are_what_a_plain_encoder_writes(
    segment_settings: Settings, interval: Interval, batch: int, chunk_rows: int
) -> None:
    inputs = company_inputs([only_segment(segment_settings)], batch, interval)

    assert batch_bytes(inputs, chunk_rows) == b"".join(reference_companies(segment_settings, batch, interval))


@given(
    first_settings=fleet_settings,
    last_settings=fleet_settings,
    interval=intervals,
    companies=st.integers(0, 30),
    batch=st.integers(0, 2**40),
    chunk_rows=st.integers(1, 200),
)
@settings(derandomize=True, deadline=None, max_examples=80)
def test_events_are_what_a_plain_encoder_writes(
    first_settings: Settings, last_settings: Settings, interval: Interval, companies: int, batch: int, chunk_rows: int
) -> None:
    first = only_segment(first_settings)
    segments = [first, following_segment(first, last_settings, company_batches=1)]
    inputs = event_inputs(segments, companies, batch, interval)

    assert batch_bytes(inputs, chunk_rows) == reference_events(inputs)


def test_a_company_has_the_fields_order_types_and_forms_of_the_contract() -> None:
    inputs = company_inputs([only_segment(production(active_probability=0.5))], interval=NEW_YEAR)

    lines = batch_bytes(inputs).decode().splitlines()

    assert len(lines) == 100
    for line in lines:
        company = json.loads(line)
        assert list(company) == ["company_id", "geography", "active", "created_at"]
        assert line == json.dumps(company, separators=(",", ":"))
        assert_is_random_uuid(company["company_id"])
        assert company["geography"] in GEOGRAPHIES
        assert isinstance(company["active"], bool)
        assert_is_instant_within(company["created_at"], NEW_YEAR)


def test_an_event_has_the_fields_order_types_and_forms_of_the_contract() -> None:
    segments = [only_segment(production(seed=77))]
    inputs = event_inputs(segments, 100)
    numbers = {
        json.loads(line)["company_id"]: number
        for number, line in enumerate(batch_bytes(company_inputs(segments)).splitlines())
    }

    lines = batch_bytes(inputs).decode().splitlines()

    assert len(lines) > 3000
    for line in lines:
        event = json.loads(line)
        assert list(event) == ["event_id", "driver_id", "company_id", "truck_id", "event_type", "timestamp"]
        assert line == json.dumps(event, separators=(",", ":"))
        assert_is_random_uuid(event["event_id"])
        company, driver = event["driver_id"].removeprefix("DRV-").rsplit("-", 1)
        assert company == event["company_id"]
        assert re.fullmatch(r"00\d", driver)
        assert event["truck_id"] == f"TRK-77-{numbers[company] * 10_000 + int(driver):04d}"
        assert event["event_type"] in EVENT_TYPES
        assert_is_instant_within(event["timestamp"], QUARTER)


def test_ids_of_events_never_repeat() -> None:
    segment = only_segment(production())
    lines = [line for batch in range(5) for line in batch_bytes(event_inputs([segment], 100, batch)).splitlines()]

    assert len({json.loads(line)["event_id"] for line in lines}) == len(lines)


def test_a_driver_keeps_one_truck_and_no_truck_has_two_drivers() -> None:
    segments = [only_segment(production())]
    events = [
        json.loads(line)
        for batch in range(5)
        for line in batch_bytes(event_inputs(segments, 100 * (batch + 1), batch)).splitlines()
    ]

    pairs = {(event["driver_id"], event["truck_id"]) for event in events}
    assert len({driver for driver, _ in pairs}) == len(pairs) == len({truck for _, truck in pairs})


@pytest.mark.parametrize("chunk_rows", CHUNKS)
def test_chunks_of_any_size_give_the_same_bytes(chunk_rows: int) -> None:
    segment = only_segment(production(drivers_per_company=1100, event_rate_per_driver=0.1, companies_per_batch=4500))

    companies, events = company_inputs([segment]), event_inputs([segment], 40)

    assert batch_bytes(companies, chunk_rows) == batch_bytes(companies)
    assert batch_bytes(events, chunk_rows) == batch_bytes(events)


def test_a_batch_of_companies_crosses_blocks() -> None:
    fleet = production(companies_per_batch=BLOCK_COMPANIES + 3)

    content = batch_bytes(company_inputs([only_segment(fleet)], 5))

    assert content == b"".join(reference_companies(fleet, 5, QUARTER))
    assert content.count(b"\n") == BLOCK_COMPANIES + 3


def test_driver_numbers_grow_from_three_digits_to_four() -> None:
    plan = event_plan(production(drivers_per_company=2000, event_rate_per_driver=0.5), numbered_fleet([0, 3], (0, 42)))

    content = plan_bytes(plan)

    numbers = {int(digits) for digits in re.findall(rb'"DRV-[0-9a-f-]{36}-(\d+)"', content)}
    assert min(numbers) < 999 < 1000 < max(numbers)
    assert content == b"".join(line for block in range(len(plan.block_counts)) for line in reference_block(plan, block))
    assert not re.search(rb'-0\d{3}","company_id', content)


@pytest.mark.parametrize(
    "numbers", [[0, 1], [9, 10], [99, 100, 101], [9_999, 10_000], [99_999, 100_000, 10**9 - 1, 10**9, 10**13]]
)
@pytest.mark.parametrize("chunk_rows", [5, 8192])
def test_truck_numbers_grow_a_digit_between_companies(numbers: list[int], chunk_rows: int) -> None:
    fleet = numbered_fleet(numbers, (0, 42))
    plan = event_plan(production(drivers_per_company=1200, event_rate_per_driver=1.0), fleet)

    content = plan_bytes(plan, chunk_rows)

    trucks = {int(truck) for truck in re.findall(rb'"TRK-42-(\d{4,})"', content)}
    assert {truck // 10_000 for truck in trucks} == set(numbers)
    assert content == b"".join(line for block in range(len(plan.block_counts)) for line in reference_block(plan, block))


@pytest.mark.parametrize("chunk_rows", CHUNKS)
def test_trucks_bear_the_base_seed_of_their_company(chunk_rows: int) -> None:
    # given companies 0 to 9 of seed 5, and from 10 on those of the longest seed
    first = only_segment(production(seed=5, companies_per_batch=10))
    last = following_segment(first, production(seed=2**63 - 1, companies_per_batch=10), company_batches=1)

    content = batch_bytes(event_inputs([first, last], 20), chunk_rows)

    trucks = {(int(seed), int(truck) // 10_000) for seed, truck in re.findall(rb'"TRK-(\d+)-(\d+)"', content)}
    assert trucks == {(5, number) for number in range(10)} | {(2**63 - 1, number) for number in range(10, 20)}
    assert content == reference_events(event_inputs([first, last], 20))


@pytest.mark.parametrize("interval", [NEW_YEAR, THREE_DAYS])
def test_intervals_may_cross_midnight(interval: Interval) -> None:
    segment = only_segment(production(companies_per_batch=500))
    fleet = numbered_fleet([*range(5)], (0, 42))
    plan = event_plan(production(event_rate_per_driver=40.0 * 900 / interval.seconds), fleet, 0, interval)

    companies, events = batch_bytes(company_inputs([segment], 0, interval)), plan_bytes(plan)

    assert companies == b"".join(reference_companies(segment.settings, 0, interval))
    assert events == b"".join(reference_block(plan, 0))
    first_day, last_day = iso(interval.start)[:10].encode(), iso(interval.end)[:10].encode()
    for content in (companies, events):
        assert first_day in content
        assert last_day in content


def test_blocks_made_in_any_order_give_the_same_bytes() -> None:
    segment = only_segment(production(drivers_per_company=200))
    batch = make_batch(event_inputs([segment], 100))
    blocks = list(range(len(batch.block_rows)))
    shuffled = random.Random(1).sample(blocks, len(blocks))

    apart = {block: b"".join(bytes(chunk.text) for chunk in batch.encode_block(block, 1000)) for block in shuffled}

    assert len(blocks) > 3
    assert b"".join(apart[block] for block in blocks) == batch_bytes(event_inputs([segment], 100))
    for block in blocks:
        assert apart[block].count(b"\n") == batch.block_rows[block]


def test_events_are_ordered_by_driver_and_then_by_time() -> None:
    plan = event_plan(production(drivers_per_company=200), bare_fleet(100))

    keys = [
        key
        for block in range(len(plan.block_counts))
        for columns in [plan.block(block)]
        for key in zip(columns.drivers.tolist(), columns.seconds.tolist(), columns.microseconds.tolist(), strict=True)
    ]

    assert keys == sorted(keys)


def unmade(*block_rows: int) -> Batch:
    def encode(block: int, chunk_rows: int) -> Iterator[Lines]:
        raise AssertionError("parts need no bytes")

    return Batch(block_rows, encode)


@given(block_rows=st.lists(st.integers(0, 120_000) | st.sampled_from([0, 16_384, PART_ROWS]), max_size=40))
@settings(derandomize=True, deadline=None)
def test_parts_end_at_the_first_block_that_fills_them(block_rows: list[int]) -> None:
    parts = unmade(*block_rows).parts()

    if sum(block_rows) <= PART_ROWS:
        assert parts == [range(len(block_rows))]
        return
    blocks = [block for part in parts for block in part]
    assert blocks == [*range(len(blocks))]
    assert not any(block_rows[len(blocks) :])
    sizes = [[block_rows[block] for block in part] for part in parts]
    assert all(sum(rows) >= PART_ROWS > sum(rows[:-1]) for rows in sizes[:-1])
    assert sum(sizes[-1]) > 0
    assert sum(sizes[-1][:-1]) < PART_ROWS


def test_a_batch_has_parts_only_above_the_limit() -> None:
    assert unmade().parts() == [range(0)]
    assert unmade(PART_ROWS).parts() == [range(1)]
    assert unmade(PART_ROWS - 1, 1).parts() == [range(2)]
    assert unmade(PART_ROWS, 1).parts() == [range(1), range(1, 2)]
    assert unmade(PART_ROWS - 1, 1, 1).parts() == [range(2), range(2, 3)]


def test_the_parts_of_a_batch_are_its_bytes() -> None:
    segment = only_segment(production(drivers_per_company=800))
    batch = make_batch(event_inputs([segment], 100))

    parts = [b"".join(bytes(chunk) for chunk in batch.clean_lines(blocks)) for blocks in batch.parts()]

    assert len(parts) == 2
    assert parts[0].count(b"\n") >= PART_ROWS
    assert b"".join(parts) == batch_bytes(event_inputs([segment], 100))


def test_a_batch_of_ten_million_events_never_holds_more_than_a_few_blocks() -> None:
    # given ten million events to come, in more than 500 blocks of some 4 MB of lines
    segment: Segment = only_segment(production(drivers_per_company=1000, event_rate_per_driver=10.0))
    small = make_batch(event_inputs([segment], 1))
    assert sum(len(chunk) for chunk in small.clean_lines()) > 0

    # when it is planned and blocks of it are made
    tracemalloc.start()
    batch = make_batch(event_inputs([segment], 1000))
    _, planned = tracemalloc.get_traced_memory()
    lines = sum(int((chunk == ord("\n")).sum()) for chunk in batch.clean_lines(range(300, 303)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # then neither the plan nor the blocks took more than a few blocks' memory
    assert 9_950_000 < batch.rows < 10_050_000
    assert len(batch.block_rows) > 500
    assert lines == sum(batch.block_rows[300:303])
    assert planned < 4_000_000
    assert peak < 20_000_000
