"""Owns the tables that decide what is in the data and when it comes: fleet, modes, schedule, quality."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from fleetgen.config.durations import Duration
from fleetgen.config.tables.fields import (
    DAY,
    GREATEST_SEED,
    HOUR,
    BatchSize,
    Probability,
    Rate,
    Table,
    Weight,
    allowed,
    some_weight,
    weights,
    whole,
)
from fleetgen.domain.records import EVENT_TYPES, GEOGRAPHIES, EventType, Geography, Quality

_GEOGRAPHY_WEIGHTS: dict[Geography, float] = {"US": 1.0}
_EVENT_TYPE_WEIGHTS: dict[EventType, float] = {"start driving": 0.40, "stopped driving": 0.35, "delivered": 0.25}


class Fleet(Table):
    """Companies and their drivers."""

    drivers_per_company: Annotated[int, whole(1, 10_000)] = 10
    """Drivers of each company."""
    max_active_companies: Annotated[int, whole(0, GREATEST_SEED)] = 1000
    """Events come from the newest this many active companies in reach; 0: from all."""
    event_rate_per_driver: Rate = 3.5
    """Expected events per driver in 15 minutes."""
    geography_weights: Annotated[dict[Geography, Weight], AfterValidator(some_weight), weights(GEOGRAPHIES)] = Field(
        default_factory=lambda: dict(_GEOGRAPHY_WEIGHTS)
    )
    """Relative weights of the geographies."""
    active_probability: Probability = 1.0
    """Share of active companies; inactive ones send no events."""
    event_type_weights: Annotated[dict[EventType, Weight], AfterValidator(some_weight), weights(EVENT_TYPES)] = Field(
        default_factory=lambda: dict(_EVENT_TYPE_WEIGHTS)
    )
    """Relative weights of the event types."""


class Bounds(Table):
    """Least and greatest size of a batch."""

    min: BatchSize
    max: BatchSize

    @model_validator(mode="after")
    def _ordered(self) -> "Bounds":
        if self.min > self.max:
            raise ValueError("has a min above its max")
        return self


class Production(Table):
    """The cadence of the rehearsal; the size of a batch of events is Poisson."""

    company_interval: Annotated[int, Duration(1, DAY)] = HOUR
    """Length of a company batch's interval."""
    driver_interval: Annotated[int, Duration(1, DAY)] = HOUR // 4
    """Length of an event batch's interval."""
    companies_per_batch: BatchSize = 100
    """Companies in each company batch."""


class Emulated(Table):
    """The cadence of development; the size of a batch of events is bounded."""

    company_interval: Annotated[int, Duration(1, HOUR)] = 10
    """Length of a company batch's interval."""
    driver_interval: Annotated[int, Duration(1, HOUR)] = 10
    """Length of an event batch's interval."""
    companies_per_batch: Annotated[int, whole(1, 100)] = 10
    """Companies in each company batch."""
    events_per_batch: Annotated[Bounds, allowed("a table { min = …, max = … } with 1 ≤ min ≤ max ≤ 100000")] = Bounds(
        min=5, max=20
    )
    """Bounds of an event batch's size."""


class Modes(Table):
    """Both modes; the key `mode` says which is in force."""

    production: Annotated[Production, allowed("a table")]
    emulated: Annotated[Emulated, allowed("a table")]


class Schedule(Table):
    """What happens to intervals that were missed."""

    catch_up_limit: Annotated[int, whole(0, 100_000)] = 10
    """Missed intervals made at once after an outage; older ones become a recorded gap."""


class QualityWeights(Table):
    """Relative weights of the issue types; 0 switches one off."""

    missing_field: Weight = 0.30
    """A required field is left out."""
    null_value: Weight = 0.30
    """A required field is null."""
    malformed_timestamp: Weight = 0.20
    """A timestamp that is none, or has no zone."""
    invalid_enum: Weight = 0.10
    """An unknown event type or geography."""
    duplicate: Weight = 0.05
    """The line becomes a copy of an earlier one."""
    boundary_violation: Weight = 0.05
    """A timestamp outside the batch's interval."""

    @model_validator(mode="after")
    def _some(self) -> "QualityWeights":
        some_weight(self.model_dump())
        return self


class QualityTable(Table):
    """Issues that are injected on purpose, with their truth recorded."""

    enabled: Annotated[bool, allowed("true or false")] = False
    """Whether anything is injected."""
    event_error_rate: Probability = 0.15
    """Share of the drawn events that get exactly one issue."""
    company_error_rate: Probability = 0.15
    """Share of the drawn companies that get exactly one issue."""
    weights: Annotated[QualityWeights, allowed("a table")] = QualityWeights()
    """Relative weights of the issue types."""

    def value(self) -> Quality | None:
        """Return what decides the bytes."""
        if not self.enabled:
            return None
        return Quality(self.event_error_rate, self.company_error_rate, self.weights.model_dump())
