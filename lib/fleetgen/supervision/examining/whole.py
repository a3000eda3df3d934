"""Owns the order in which all is looked at, and what can be looked at without a good configuration."""

from collections.abc import Iterator
from pathlib import Path

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import LoadedConfig, content_of, in_full, parse, read_text
from fleetgen.config.token import read_token
from fleetgen.domain.records import Stream, iso
from fleetgen.errors import ConfigurationError, FleetgenError
from fleetgen.generation.dataset import Dataset
from fleetgen.supervision.examining.disks import disks
from fleetgen.supervision.examining.finding import Finding, fault, fine, warning
from fleetgen.supervision.examining.parts import parts
from fleetgen.supervision.examining.ports import ports
from fleetgen.supervision.examining.surroundings import surroundings


def examine(config_file: Path) -> Iterator[Finding]:
    """Yield every finding about this machine and this configuration file."""
    yield from surroundings()
    loaded, found = _configuration(config_file)
    yield found
    yield from parts(None if loaded is None else loaded.config)
    if loaded is None:
        return
    yield from _token(loaded)
    yield from disks(loaded)
    yield from _dataset(loaded)
    yield from ports(loaded)


def _configuration(config_file: Path) -> tuple[LoadedConfig | None, Finding]:
    """Read the file, and leave its paths to be looked at one by one."""
    try:
        file = in_full(config_file)
        if not file.exists():
            says = f"there is no {file}: what depends on it is not looked at"
            return None, warning("configuration", says, "make one with `fleetgen init DIR`, or name one with --config")
        content, text = content_of(file), read_text(file)
        loaded = LoadedConfig(file, parse(text, file), text, content)
        loaded.layout, loaded.run  # noqa: B018 - a path that leads nowhere shows itself here
    except ConfigurationError as refused:
        return None, fault("configuration", str(refused), "correct it; `fleetgen config check` looks again")
    except (OSError, RuntimeError) as nowhere:
        return None, fault("configuration", f"[paths] lead nowhere: {nowhere}", "set both to folders")
    return loaded, fine("configuration", f"{file}: {loaded.config.mode} mode")


def _token(loaded: LoadedConfig) -> Iterator[Finding]:
    try:
        if read_token(loaded) is not None:
            yield fine("token", "control.token_file holds a good one")
    except ConfigurationError as refused:
        says, _, command = str(refused).partition(" Make one with: ")
        yield fault("token", says, f"make one with `{command}`")


def _dataset(loaded: LoadedConfig) -> Iterator[Finding]:
    """Look whether the clock lets the dataset go on: it must not have been ahead of now."""
    dataset = Dataset(loaded.layout)
    try:
        manifest = dataset.read()
        if manifest is None or manifest.origin is None:
            yield fine("dataset", "none yet")
            return
        stalled = [dataset.stalled_until(manifest, stream, system_now()) for stream in Stream]
    except (FleetgenError, OSError) as refused:
        yield warning("dataset", str(refused), "see what `fleetgen verify` says")
        return
    until = max((each for each in stalled if each is not None), default=None)
    if until is None:
        yield fine("dataset", f"{manifest.dataset_id}, which the clock lets go on")
        return
    remedy = "set the clock right if it is wrong now; if it was wrong then, start over with `fleetgen clean --yes`"
    yield fault("dataset", f"it reaches to {iso(until)}, ahead of the clock: nothing is made before", remedy)
