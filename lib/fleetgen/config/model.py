"""Owns the shape of `generator.toml`: one frozen, strict model; unknown keys are refused at every level.

A field's ``allowed`` says in words what it admits; the messages about faults and the JSON Schema repeat them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import model_validator

from fleetgen.config.tables.dataset import Emulated, Fleet, Modes, QualityTable, Schedule
from fleetgen.config.tables.fields import GREATEST_SEED, Table, allowed, whole
from fleetgen.config.tables.limits import Backpressure, Retention
from fleetgen.config.tables.running import Control, Metrics, Paths, Pipeline, Supervisor
from fleetgen.domain.records import EVENT_TYPES, GEOGRAPHIES, Settings

Mode = Literal["emulated", "production"]

OWN_PIPELINE = "pipeline"
"""The name under which the set's own pipeline acknowledges."""

SOCKET_PATH_BYTES = 99
"""The longest path at which supervisord can open its unix socket."""


class Config(Table):
    """The whole file."""

    mode: Annotated[Mode, allowed('"emulated" or "production"')]
    """The one line to edit: "emulated" or "production"."""
    seed: Annotated[int, whole(0, GREATEST_SEED)] | None = None
    """Base of all randomness; absent: drawn once and recorded in the manifest."""
    fleet: Annotated[Fleet, allowed("a table")]
    modes: Annotated[Modes, allowed("a table")]
    schedule: Annotated[Schedule, allowed("a table")] = Schedule()
    backpressure: Annotated[Backpressure, allowed("a table")] = Backpressure()
    retention: Annotated[Retention, allowed("a table")] = Retention()
    quality: Annotated[QualityTable, allowed("a table")] = QualityTable()
    paths: Annotated[Paths, allowed("a table")] = Paths()
    metrics: Annotated[Metrics, allowed("a table")] = Metrics()
    control: Annotated[Control, allowed("a table")] = Control()
    pipeline: Annotated[Pipeline, allowed("a table")] = Pipeline()
    supervisor: Annotated[Supervisor, allowed("a table")] = Supervisor()

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

    def counts(self, consumer: str) -> bool:
        """Whether a consumer is to be waited for though it is not registered: the own pipeline only where there is one."""
        return consumer in self.backpressure.consumers and (self.pipeline.enabled or consumer != OWN_PIPELINE)

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
