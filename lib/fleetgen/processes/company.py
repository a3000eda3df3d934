"""The company process: makes the stream of companies."""

from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import Stream
from fleetgen.processes.generator import run_generator


def main(loaded: LoadedConfig, port_offset: int) -> None:
    """Run until asked to stop."""
    run_generator("company", Stream.COMPANIES, loaded, loaded.config.metrics.company_port + port_offset)
