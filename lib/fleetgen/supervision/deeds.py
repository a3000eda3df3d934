"""Owns telling the log what a person did by a command: a file beside those of the processes, with lines like theirs.

The set need not run for that. Where no log folder is, nobody has started a set yet, and nothing is told. A full file is kept as
``command.jsonl.1``, in the place of the one before.
"""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import iso

LOGGER = "command"
"""What the lines name as their process, and what their file is called."""
_FULL_BYTES = 10_000_000


def deeds_file(logs: Path) -> Path:
    """Return the file in a log folder."""
    return logs / f"{LOGGER}.jsonl"


def tell(logs: Path, event: str, kind: str, **more: Any) -> None:
    """Append a line; a disk that takes none keeps nobody from doing what the line tells of."""
    line = {"timestamp": iso(system_now()), "level": "info", "logger": LOGGER, "event": event, "kind": kind, **more}
    with suppress(OSError):
        _append(deeds_file(logs), json.dumps(line).encode() + b"\n")


def _append(path: Path, line: bytes) -> None:
    """Write a line; of those who find the file full at the same time, one moves it away."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue  # somebody has just moved it away
            if os.fstat(file.fileno()).st_size < _FULL_BYTES:
                file.write(line)
                return
            path.replace(path.with_name(f"{path.name}.1"))
