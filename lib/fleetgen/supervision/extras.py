"""Owns which processes need optional packages, and saying so before they are started without them."""

from importlib.util import find_spec

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import SystemLacks
from fleetgen.supervision.programs import programs

_PACKAGES = {"control": ("fastapi", "uvicorn"), "pipeline": ("duckdb", "deltalake", "pyarrow")}

_SPARK = ("pyspark", "pandas")

_PAGE = ("nicegui", "websockets")


def packages_of_extras() -> dict[str, tuple[str, ...]]:
    """Return which packages each extra brings, by the names that they are imported by."""
    return {**_PACKAGES, "dashboard": _PAGE, "yaml": ("yaml",)}


def has_page() -> bool:
    """Whether the packages of the page are installed; without them the API works as ever."""
    return all(find_spec(name) is not None for name in _PAGE)


def check_extras(loaded: LoadedConfig) -> None:
    """Raise SystemLacks for a process of the set whose optional packages are not installed."""
    for program in programs(loaded):
        lacking = [name for name in _PACKAGES.get(program.name, ()) if find_spec(name) is None]
        if lacking:
            raise SystemLacks(
                f"The {program.name} process needs {' and '.join(lacking)}: install it with "
                f"`pip install 'fleetgen[{program.name}]'`, or set {program.name}.enabled = false."
            )
    pipeline = loaded.config.pipeline
    if pipeline.enabled and pipeline.engine == "spark":
        _check_spark()


def _check_spark() -> None:
    if lacking := [name for name in _SPARK if find_spec(name) is None]:
        raise SystemLacks(
            f"The Spark engine needs {' and '.join(lacking)}: install it with `pip install 'fleetgen[pipeline,spark]'`, or "
            'set pipeline.engine = "embedded".'
        )
