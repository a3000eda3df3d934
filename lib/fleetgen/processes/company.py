"""The company process: makes the stream of companies."""

from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import Stream
from fleetgen.processes.generator import run_generator


def main(loaded: LoadedConfig, address: str | None, port: int | None, fault: str | None) -> None:
    """Run until asked to stop; ``fault`` is what is wrong with the file if ``loaded`` is an older one."""
    metrics = loaded.config.metrics
    run_generator("company", Stream.COMPANIES, loaded, address or metrics.address, port or metrics.company_port, fault)
