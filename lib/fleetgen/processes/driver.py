"""The driver process: makes the stream of events."""

from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import Stream
from fleetgen.processes.generator import run_generator


def main(loaded: LoadedConfig, port_offset: int) -> None:
    """Run until asked to stop."""
    run_generator("driver", Stream.EVENTS, loaded, loaded.config.metrics.driver_port + port_offset)
