"""Owns the look at packages and programs: those that the configuration wants, and those that nobody needs to have."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from fleetgen.config.model import Config
from fleetgen.supervision.examining.finding import Finding, fault, fine, warning
from fleetgen.supervision.extras import packages_of_extras

_CORE = ("click", "numpy", "prometheus_client", "pydantic", "rich", "structlog", "supervisor", "tomli_w", "tomlkit")
_DISTRIBUTIONS = {"yaml": "PyYAML"}
_IMPORT_SECONDS = 60
_SPARK = "spark"


@dataclass(frozen=True, slots=True)
class _Beside:
    """A program that stands beside a set."""

    name: str
    commands: tuple[str, ...]
    purpose: str


_PROGRAMS = (
    _Beside(
        "chromium", ("chromium", "chromium-browser", "google-chrome"), "the tests of the page and `make screenshots`"
    ),
    _Beside("prometheus", ("prometheus",), "`make observe`, or watching the metrics over time"),
    _Beside("java", ("java",), "a pipeline on Apache Spark"),
)


def parts(config: Config | None) -> Iterator[Finding]:
    """Yield which packages and programs are there; without a configuration nothing more than the core is wanted."""
    yield _packages("core", _CORE, wanted=True, needed=True)
    for extra, names in packages_of_extras().items():
        yield _packages(f"extra {extra}", names, wanted=_wants(config, extra), needed=extra != "dashboard")
    for each in _PROGRAMS:
        yield _program(each, wanted=each.name == "java" and _engine(config) == _SPARK)


def _wants(config: Config | None, extra: str) -> bool:
    if config is None:
        return False
    control = config.control.enabled
    wanted = {
        "control": control,
        "dashboard": control and config.control.dashboard,
        "pipeline": config.pipeline.enabled,
    }
    return wanted.get(extra, extra == _engine(config))


def _engine(config: Config | None) -> str:
    """Return the pipeline's engine, where the configuration names one."""
    return str(getattr(config.pipeline, "engine", "embedded")) if config is not None else ""


def _packages(check: str, names: tuple[str, ...], wanted: bool, needed: bool) -> Finding:
    """Look whether packages are there and, where they are wanted, can be imported."""
    extra = check.removeprefix("extra ")
    remedy = f"`pip install 'fleetgen[{extra}]'`" if extra != check else "install fleetgen again"
    lacking = [name for name in names if find_spec(name) is None]
    if not wanted:
        absent = f"not installed, and not wanted by the configuration; {remedy} brings it"
        return fine(check, absent if lacking else f"{_versions(names)}; not wanted by the configuration")
    says = f"without {' and '.join(lacking)}" if lacking else _refused(names)
    if not says:
        return fine(check, _versions(names))
    if not needed:
        return warning(check, says, remedy)
    off = f", or set {extra}.enabled = false" if extra in ("control", "pipeline") else ""
    return fault(check, says, f"{remedy}{off}")


def _refused(names: tuple[str, ...]) -> str:
    """Return why packages cannot be imported; nothing if they can. A process of its own tries: a broken one may end it."""
    command = [sys.executable, "-c", f"import {', '.join(names)}"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"importing {', '.join(names)} takes more than {_IMPORT_SECONDS} s"
    if not tried.returncode:
        return ""
    last = tried.stderr.strip().splitlines()[-1:] or [f"status {tried.returncode}"]
    return f"importing {', '.join(names)} fails: {last[0]}"


def _versions(names: tuple[str, ...]) -> str:
    return ", ".join(_versioned(name) for name in names)


def _versioned(name: str) -> str:
    try:
        found = _DISTRIBUTIONS.get(name, name)
        return f"{found} {version(found)}"
    except PackageNotFoundError:
        return name


def _program(program: _Beside, wanted: bool) -> Finding:
    check = f"program {program.name}"
    found = next((path for path in map(shutil.which, program.commands) if path is not None), None)
    if found is not None:
        return fine(check, found)
    says = f"not here; it is only for {program.purpose}"
    return fault(check, says, f"install {program.name}, or choose another engine") if wanted else fine(check, says)
