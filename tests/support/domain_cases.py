"""Owns how tests name domain values: settings, segments, batches and their bytes. Needs numpy and the domain alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fleetgen.domain.batches import BatchInputs, make_batch
from fleetgen.domain.companies import Fleet, active_fleet
from fleetgen.domain.drivers import EventPlan, plan_events
from fleetgen.domain.encoding import CHUNK_ROWS
from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import ALGORITHM, SECOND, Interval, Segment, Settings, Stream, instant
from fleetgen.domain.text import Lines

NOON = instant("2026-01-01T12:00:00Z")
QUARTER = Interval(NOON, NOON + 900 * SECOND)

_EMULATED = Settings(
    mode="emulated",
    seed=42,
    drivers_per_company=10,
    max_active_companies=1000,
    event_rate_per_driver=3.5,
    geography_weights={"US": 0.5, "EU": 0.3, "SA": 0.15, "AUS": 0.05},
    active_probability=1.0,
    event_type_weights={"start driving": 0.40, "stopped driving": 0.35, "delivered": 0.25},
    company_interval_seconds=10,
    driver_interval_seconds=10,
    companies_per_batch=10,
    events_per_batch=(5, 20),
)


def emulated(**changes: Any) -> Settings:
    """Settings with bounded batches."""
    return replace(_EMULATED, **changes)


def production(**changes: Any) -> Settings:
    """Settings without bounds: the size of a batch of events is Poisson."""
    unbounded = replace(_EMULATED, mode="production", events_per_batch=None, companies_per_batch=100)
    return replace(unbounded, company_interval_seconds=3600, driver_interval_seconds=900, **changes)


def only_segment(settings: Settings) -> Segment:
    """The segment of a dataset that has but one."""
    return Segment(1, NOON, ALGORITHM, 0, 0, 0, settings)


def following_segment(earlier: Segment, settings: Settings, company_batches: int, event_batches: int = 0) -> Segment:
    """The segment that opens after so many batches of the earlier one."""
    return Segment(
        number=earlier.number + 1,
        instant=earlier.instant,
        algorithm=ALGORITHM,
        first_company_batch=earlier.first_company_batch + company_batches,
        first_company=earlier.first_company + company_batches * earlier.settings.companies_per_batch,
        first_event_batch=earlier.first_event_batch + event_batches,
        settings=settings,
    )


def company_address(settings: Settings, batch: int = 0) -> Address:
    """The draws of a batch of companies."""
    return Address(settings.seed, Origin.COMPANIES, batch, Purpose.COMPANY_ID)


def event_plan(settings: Settings, fleet: Fleet, batch: int = 0, interval: Interval = QUARTER) -> EventPlan:
    """The plan of a batch of events."""
    return plan_events(Address(settings.seed, Origin.EVENTS, batch, Purpose.EVENT_COUNT), settings, interval, fleet)


def whole_fleet(settings: Settings, companies: int) -> Fleet:
    """The first so many companies of a dataset with one segment, those of them that are active."""
    return active_fleet([only_segment(settings)], companies, 0)


def bare_fleet(companies: int) -> Fleet:
    """So many companies whose ids do not matter."""
    return Fleet(np.arange(companies, dtype=np.int64), np.zeros((companies, 8), np.uint16), ((0, 42),))


def as_lines(text: bytes) -> Lines:
    """Finished lines as the encoder gives them."""
    content = np.frombuffer(bytearray(text), np.uint8)
    shapes = [tuple(place for place, byte in enumerate(line) if byte == ord('"')) for line in text.splitlines()]
    numbers = {shape: number for number, shape in enumerate(set(shapes))}
    layouts = np.array([numbers[shape] for shape in shapes], np.int64)
    return Lines(content, np.flatnonzero(content == ord("\n")) + 1, layouts)


def batch_bytes(inputs: BatchInputs, chunk_rows: int = CHUNK_ROWS) -> bytes:
    """All lines of a batch as they are published."""
    return b"".join(bytes(piece.lines) for piece in make_batch(inputs).pieces(chunk_rows=chunk_rows))


def clean_bytes(inputs: BatchInputs, chunk_rows: int = CHUNK_ROWS) -> bytes:
    """All lines of a batch as they are before issues are injected."""
    return b"".join(bytes(chunk) for chunk in make_batch(inputs).clean_lines(chunk_rows=chunk_rows))


def truth_bytes(inputs: BatchInputs, chunk_rows: int = CHUNK_ROWS) -> bytes:
    """The truth about a batch, a line of JSON for each issue."""
    return b"".join(piece.truth for piece in make_batch(inputs).pieces(chunk_rows=chunk_rows))


def company_inputs(segments: Sequence[Segment], number: int = 0, interval: Interval = QUARTER) -> BatchInputs:
    """The inputs of a batch of companies in the newest of these segments."""
    segment = segments[-1]
    count = segment.first_company + (number - segment.first_company_batch + 1) * segment.settings.companies_per_batch
    return BatchInputs(Stream.COMPANIES, number, interval, segment, tuple(segments), count)


def event_inputs(
    segments: Sequence[Segment], company_count: int, number: int = 0, interval: Interval = QUARTER
) -> BatchInputs:
    """The inputs of a batch of events in the newest of these segments."""
    return BatchInputs(Stream.EVENTS, number, interval, segments[-1], tuple(segments), company_count)
