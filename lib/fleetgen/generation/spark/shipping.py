"""Owns the archive by which executors get this very package; what they need besides is said in `tasks`."""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import fleetgen

_PACKAGE = Path(fleetgen.__file__).parent

_SHIPPED = ("", "domain", "cadence", "storage", "generation", "generation/spark")
"""The folders that a task imports from; "" is the package's own."""


def pack(archive: Path) -> Path:
    """Write the package's modules that a task needs into an archive that Python imports from; return its path."""
    with ZipFile(archive, "w", ZIP_DEFLATED) as file:
        for folder in _SHIPPED:
            for source in sorted((_PACKAGE / folder).glob("*.py")):
                file.write(source, Path("fleetgen") / source.relative_to(_PACKAGE))
    return archive
