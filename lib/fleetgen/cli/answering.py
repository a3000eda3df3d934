"""Owns waiting until processes that were started answer where they listen."""

import socket
import time
from collections.abc import Sequence

from fleetgen.supervision.programs import Program

_LONGEST_SECONDS = 20.0
_PAUSE_SECONDS = 0.05


def await_answers(programs: Sequence[Program]) -> list[str]:
    """Wait until somebody listens on each program's port; return the names of those where nobody does in the end."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    silent = list(programs)
    while silent and time.monotonic() < deadline:
        silent = [program for program in silent if not _answers(program)]
        if silent:
            time.sleep(_PAUSE_SECONDS)
    return [program.name for program in silent]


def _answers(program: Program) -> bool:
    try:
        with socket.create_connection((program.address, program.port), timeout=1):
            return True
    except OSError:
        return False
