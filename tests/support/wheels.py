"""Owns built wheels in environments of their own, which see only the packages that the wheel requires; no network."""

import os
import subprocess
import sys
from email.parser import BytesParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

from support.configs import REPOSITORY

_TO_THE_CHECKOUT = {"PYTHONPATH", "FLEETGEN_CONFIG", "SOURCE_DATE_EPOCH"}


def build(folder: Path, source: Path = REPOSITORY, **variables: str) -> tuple[Path, Path]:
    """Build sdist and wheel as `make dist` does; return both."""
    command = [str(source / "packaging" / "dist"), os.path.relpath(sys.executable, source), str(folder)]
    built = subprocess.run(command, cwd=source, env=detached() | variables, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def detached() -> dict[str, str]:
    """Return the environment's variables without those that lead to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in _TO_THE_CHECKOUT}


def install(folder: Path, wheel: Path, extra: str = "") -> Path:
    """Make an environment with the wheel, and of the packages here only those that it requires; return its programs' folder.

    pip sees those packages, and so judges whether what the wheel asks for is met.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    (site,) = folder.glob("lib/python*/site-packages")
    programs, seen = folder / "bin", folder / "seen"
    seen.mkdir()
    for name in _required(_asked_by(wheel), {extra}):
        _link(name, seen)
    (site / "seen.pth").write_text(f"{seen}\n")
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    pip = [sys.executable, "-I", "-m", "pip", "--python", str(programs / "python")]
    command = [*pip, "install", "--no-index", wanted]
    installed = subprocess.run(command, env=detached(), capture_output=True, text=True, timeout=120)
    assert installed.returncode == 0, installed.stderr
    return programs


def _asked_by(wheel: Path) -> list[str]:
    """Return what a wheel requires, as its metadata says."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(archive.read(name)).get_all("Requires-Dist", [])


def _required(lines: list[str], extras: set[str], known: frozenset[tuple[str, str]] = frozenset()) -> set[str]:
    """Return the names of all installed packages that these requirements bring, directly or not."""
    found: set[str] = set()
    for wanted in map(Requirement, lines):
        marker = wanted.marker
        applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})
        key = (wanted.name.lower(), ",".join(sorted(wanted.extras)))
        if not applies or key in known:
            continue
        try:
            inner = distribution(wanted.name).requires or []
        except PackageNotFoundError:  # for another system
            continue
        found |= {wanted.name, *_required(inner, set(wanted.extras), known | {key})}
    return found


def _link(package: str, folder: Path) -> None:
    """Link an installed package's files into a folder, each by the name at its top."""
    installed = distribution(package)
    for name in {path.parts[0] for path in installed.files or []} - {"..", "__pycache__"}:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(str(installed.locate_file(name)))
