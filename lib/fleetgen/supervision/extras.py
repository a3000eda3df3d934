"""Owns which processes need optional packages, and saying so before they are started without them."""

from importlib.util import find_spec

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import SystemLacks
from fleetgen.supervision.programs import programs

_PACKAGES = {"control": ("fastapi", "uvicorn"), "pipeline": ("duckdb", "deltalake", "pyarrow")}


def check_extras(loaded: LoadedConfig) -> None:
    """Raise SystemLacks for a process of the set whose optional packages are not installed."""
    for program in programs(loaded):
        lacking = [name for name in _PACKAGES.get(program.name, ()) if find_spec(name) is None]
        if lacking:
            raise SystemLacks(
                f"The {program.name} process needs {' and '.join(lacking)}: install it with "
                f"`pip install 'fleetgen[{program.name}]'`, or set {program.name}.enabled = false."
            )
