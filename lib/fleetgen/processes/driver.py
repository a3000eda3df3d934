"""The driver process: makes the stream of events."""

from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import Stream
from fleetgen.processes.generator import run_generator


def main(loaded: LoadedConfig, address: str | None, port: int | None, fault: str | None) -> None:
    """Run until asked to stop; ``fault`` is what is wrong with the file if ``loaded`` is an older one."""
    metrics = loaded.config.metrics
    run_generator("driver", Stream.EVENTS, loaded, address or metrics.address, port or metrics.driver_port, fault)
