"""Owns the shape of `generator.toml`: one frozen, strict model; unknown keys are refused at every level.

A field's ``allowed`` says in words what it admits; the messages about faults and the JSON Schema repeat them.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fleetgen.config.durations import Duration
from fleetgen.config.sizes import Size
from fleetgen.domain.records import (
    EVENT_TYPES,
    GEOGRAPHIES,
    EventType,
    Geography,
    Quality,
    Settings,
)

Mode = Literal["emulated", "production"]

SOCKET_PATH_BYTES = 99
"""The longest path at which supervisord can open its unix socket."""

_DAY = 86_400
_HOUR = 3_600
_GEOGRAPHY_WEIGHTS: dict[Geography, float] = {"US": 1.0}
_EVENT_TYPE_WEIGHTS: dict[EventType, float] = {"start driving": 0.40, "stopped driving": 0.35, "delivered": 0.25}
_GREATEST_SEED = 2**63 - 1


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


def _allowed(text: str) -> Any:
    return Field(json_schema_extra={"allowed": text})


def _whole(least: int, most: int | None = None) -> Any:
    words = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return Field(ge=least, le=most, json_schema_extra={"allowed": words})


def _weights(names: tuple[str, ...]) -> Any:
    quoted = ", ".join(f'"{name}"' for name in names)
    return _allowed(f"a table with weights of at least 0, not all of them 0, for any of {quoted}")


def _some_weight(weights: dict[str, float]) -> dict[str, float]:
    if not sum(weights.values()) > 0:
        raise ValueError("has no weight above 0")
    return weights


def _filled(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("is empty or has a null character")
    return path


Weight = Annotated[
    float, Field(ge=0, le=1e9, allow_inf_nan=False, json_schema_extra={"allowed": "a number from 0 to 1000000000"})
]
Probability = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, json_schema_extra={"allowed": "a number from 0 to 1"})
]
Rate = Annotated[
    float,
    Field(gt=0, le=1000, allow_inf_nan=False, json_schema_extra={"allowed": "a number above 0 and at most 1000"}),
]
Port = Annotated[int, _whole(1, 65_535)]
BatchSize = Annotated[int, _whole(1, 100_000)]
FolderName = Annotated[str, AfterValidator(_filled), _allowed("the path of a folder, as a string")]


class Fleet(_Table):
    """Companies and their drivers."""

    drivers_per_company: Annotated[int, _whole(1, 10_000)] = 10
    """Drivers of each company."""
    max_active_companies: Annotated[int, _whole(0, _GREATEST_SEED)] = 1000
    """Events come from the newest this many active companies in reach; 0: from all."""
    event_rate_per_driver: Rate = 3.5
    """Expected events per driver in 15 minutes."""
    geography_weights: Annotated[dict[Geography, Weight], AfterValidator(_some_weight), _weights(GEOGRAPHIES)] = Field(
        default_factory=lambda: dict(_GEOGRAPHY_WEIGHTS)
    )
    """Relative weights of the geographies."""
    active_probability: Probability = 1.0
    """Share of active companies; inactive ones send no events."""
    event_type_weights: Annotated[dict[EventType, Weight], AfterValidator(_some_weight), _weights(EVENT_TYPES)] = Field(
        default_factory=lambda: dict(_EVENT_TYPE_WEIGHTS)
    )
    """Relative weights of the event types."""


class Bounds(_Table):
    """Least and greatest size of a batch."""

    min: BatchSize
    max: BatchSize

    @model_validator(mode="after")
    def _ordered(self) -> "Bounds":
        if self.min > self.max:
            raise ValueError("has a min above its max")
        return self


class Production(_Table):
    """The cadence of the rehearsal; the size of a batch of events is Poisson."""

    company_interval: Annotated[int, Duration(1, _DAY)] = _HOUR
    """Length of a company batch's interval."""
    driver_interval: Annotated[int, Duration(1, _DAY)] = _HOUR // 4
    """Length of an event batch's interval."""
    companies_per_batch: BatchSize = 100
    """Companies in each company batch."""


class Emulated(_Table):
    """The cadence of development; the size of a batch of events is bounded."""

    company_interval: Annotated[int, Duration(1, _HOUR)] = 10
    """Length of a company batch's interval."""
    driver_interval: Annotated[int, Duration(1, _HOUR)] = 10
    """Length of an event batch's interval."""
    companies_per_batch: Annotated[int, _whole(1, 100)] = 10
    """Companies in each company batch."""
    events_per_batch: Annotated[Bounds, _allowed("a table { min = …, max = … } with 1 ≤ min ≤ max ≤ 100000")] = Bounds(
        min=5, max=20
    )
    """Bounds of an event batch's size."""


class Modes(_Table):
    """Both modes; the key `mode` says which is in force."""

    production: Annotated[Production, _allowed("a table")]
    emulated: Annotated[Emulated, _allowed("a table")]


class Schedule(_Table):
    """What happens to intervals that were missed."""

    catch_up_limit: Annotated[int, _whole(0, 100_000)] = 10
    """Missed intervals made at once after an outage; older ones become a recorded gap."""


class Paths(_Table):
    """Folders; relative ones are relative to the folder of the configuration file."""

    data: FolderName = "../data"
    """The data directory."""
    run: FolderName = "../run"
    """Sockets and pid files."""


class Metrics(_Table):
    """Each process serves /metrics on a port of its own."""

    address: Annotated[str, AfterValidator(_filled), _allowed("an address to listen on, as a string")] = "127.0.0.1"
    """Address to listen on."""
    company_port: Port = 9101
    """Port of the company process."""
    driver_port: Port = 9102
    """Port of the driver process."""
    pipeline_port: Port = 9103
    """Port of the pipeline process."""

    @model_validator(mode="after")
    def _distinct(self) -> "Metrics":
        if len({self.company_port, self.driver_port, self.pipeline_port}) < 3:
            raise ValueError(
                "gives two processes the same port: company_port, driver_port and pipeline_port must differ"
            )
        return self


class Control(_Table):
    """The control process: HTTP API and its own metrics."""

    enabled: Annotated[bool, _allowed("true or false")] = True
    """Whether the set has a control process."""
    address: Annotated[str, AfterValidator(_filled), _allowed("an address to listen on, as a string")] = "127.0.0.1"
    """Address to listen on; one that other machines reach needs a token_file."""
    port: Port = 18000
    """Port to listen on."""
    token_file: Annotated[str, AfterValidator(_filled), _allowed("the path of a file, as a string")] | None = None
    """File with the token that changes over HTTP must bear; relative to this file's folder."""

    @model_validator(mode="after")
    def _guarded(self) -> "Control":
        if self.token_file is None and not is_loopback(self.address):
            raise ValueError(
                f"listens on {self.address!r}, which other machines may reach: set token_file to a file with a secret "
                'of at least 16 characters, or address to "127.0.0.1"'
            )
        return self


class Pipeline(_Table):
    """The pipeline process: carries published batches from bronze to silver and gold."""

    enabled: Annotated[bool, _allowed("true or false")] = True
    """Whether the set has a pipeline process."""
    memory: Annotated[int, Size(64)] | None = None
    """Memory for the work on batches; absent: up to 700MB, less where the machine or the container has less."""


def is_loopback(address: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class QualityWeights(_Table):
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
        _some_weight(self.model_dump())
        return self


class QualityTable(_Table):
    """Issues that are injected on purpose, with their truth recorded."""

    enabled: Annotated[bool, _allowed("true or false")] = False
    """Whether anything is injected."""
    event_error_rate: Probability = 0.15
    """Share of the drawn events that get exactly one issue."""
    company_error_rate: Probability = 0.15
    """Share of the drawn companies that get exactly one issue."""
    weights: Annotated[QualityWeights, _allowed("a table")] = QualityWeights()
    """Relative weights of the issue types."""

    def value(self) -> Quality | None:
        """Return what decides the bytes."""
        if not self.enabled:
            return None
        return Quality(self.event_error_rate, self.company_error_rate, self.weights.model_dump())


class Supervisor(_Table):
    """How supervisord treats the processes."""

    start_retries: Annotated[int, _whole(0, 100)] = 5
    """How often a process that cannot be started is tried again."""
    stop_wait_seconds: Annotated[int, _whole(1, 3600)] = 10
    """How long a process may take to stop before it is killed."""


class Config(_Table):
    """The whole file."""

    mode: Annotated[Mode, _allowed('"emulated" or "production"')]
    """The one line to edit: "emulated" or "production"."""
    seed: Annotated[int, _whole(0, _GREATEST_SEED)] | None = None
    """Base of all randomness; absent: drawn once and recorded in the manifest."""
    fleet: Annotated[Fleet, _allowed("a table")]
    modes: Annotated[Modes, _allowed("a table")]
    schedule: Annotated[Schedule, _allowed("a table")] = Schedule()
    quality: Annotated[QualityTable, _allowed("a table")] = QualityTable()
    paths: Annotated[Paths, _allowed("a table")] = Paths()
    metrics: Annotated[Metrics, _allowed("a table")] = Metrics()
    control: Annotated[Control, _allowed("a table")] = Control()
    pipeline: Annotated[Pipeline, _allowed("a table")] = Pipeline()
    supervisor: Annotated[Supervisor, _allowed("a table")] = Supervisor()

    @model_validator(mode="after")
    def _own_ports(self) -> "Config":
        metrics = self.metrics
        if self.control.enabled and self.control.port in (
            metrics.company_port,
            metrics.driver_port,
            metrics.pipeline_port,
        ):
            raise ValueError("gives two processes the same port: control.port must differ from those in [metrics]")
        return self

    def settings(self, seed: int) -> Settings:
        """Return what decides the bytes: the fleet and the mode in force, with this base seed."""
        cadence = self.modes.production if self.mode == "production" else self.modes.emulated
        bounds = cadence.events_per_batch if isinstance(cadence, Emulated) else None
        return Settings(
            mode=self.mode,
            seed=seed,
            drivers_per_company=self.fleet.drivers_per_company,
            max_active_companies=self.fleet.max_active_companies,
            event_rate_per_driver=self.fleet.event_rate_per_driver,
            geography_weights=_in_order(self.fleet.geography_weights, GEOGRAPHIES),
            active_probability=self.fleet.active_probability,
            event_type_weights=_in_order(self.fleet.event_type_weights, EVENT_TYPES),
            company_interval_seconds=cadence.company_interval,
            driver_interval_seconds=cadence.driver_interval,
            companies_per_batch=cadence.companies_per_batch,
            events_per_batch=(bounds.min, bounds.max) if bounds else None,
            quality=self.quality.value(),
        )


def _in_order(weights: Mapping[Any, float], names: tuple[str, ...]) -> dict[str, float]:
    """Return the weights in one order, so that the order in the file does not change the bytes."""
    return {name: weights[name] for name in names if name in weights}


def folder(config_file: Path, name: str) -> Path:
    """Return a folder that the configuration names, absolute."""
    return (config_file.parent / Path(name).expanduser()).resolve()
