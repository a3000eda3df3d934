"""Owns the Debian package as tests build and install it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.configs import REPOSITORY
from support.foreign_roots import ForeignRoot
from support.wheels import detached


def lacking(*programs: str) -> str:
    """Return which of these programs this machine does not have, with commas between."""
    return ", ".join(each for each in programs if shutil.which(each) is None)


BUILDERS = lacking("dh", "dpkg-buildpackage")
"""What is missing here to build a package."""
IS_LONG = bool(os.environ.get("FLEETGEN_SOAK"))
"""Whether the whole package is built, and installed: `make test-deb`."""


def built(folder: Path, **variables: str) -> Path:
    """Build the package as `make deb` does, in the short form without the packages of the lock."""
    command = [str(REPOSITORY / "packaging" / "deb"), sys.executable, str(folder), *([] if IS_LONG else ["bare"])]
    done = subprocess.run(command, env=detached() | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = folder.glob("*.deb")
    return package


def install(root: ForeignRoot, package: Path, *options: str) -> str:
    """Install a package with what it depends on."""
    shutil.copy(package, root / "root/fleetgen.deb")
    return root.told("dpkg", *options, "-i", "/root/fleetgen.deb")
