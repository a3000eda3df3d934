"""Owns what the set needs of the system's limits, and saying so before it is started without."""

import os
import resource
from pathlib import Path

from fleetgen.errors import SystemLacks
from fleetgen.machine import temporary_folder

LEAST_DESCRIPTORS = 128
"""A full set has at most 26 descriptors open in supervisord and 20 in a process, and people's requests come on top."""

LEAST_PROCESSES = 16
_WANTED_DESCRIPTORS = 1024


def wanted_descriptors() -> int:
    """Return how many descriptors supervisord shall ask for: what it always did, or what there is."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)


def check_limits() -> None:
    """Raise SystemLacks where processes may open too few files for a set."""
    if (there := wanted_descriptors()) < LEAST_DESCRIPTORS:
        raise SystemLacks(
            f"A process may open {there} files here, but the set needs {LEAST_DESCRIPTORS}: raise the hard limit, such "
            "as with `ulimit -n 1024` before `fleetgen up` or LimitNOFILE= of a systemd service."
        )


def ensure_temporary_folder(run: Path) -> None:
    """Let temporary files go to the run folder where the system has no usable place for them."""
    if temporary_folder(run) == run:
        os.environ["TMPDIR"] = str(run)
