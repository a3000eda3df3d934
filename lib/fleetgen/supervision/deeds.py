"""Owns telling the log what a person did by a command: a file beside those of the processes, with lines like theirs.

The set need not run for that. Where no log folder is, nobody has started a set yet, and nothing is told.
"""

import json
import os
from pathlib import Path
from typing import Any

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import iso

LOGGER = "command"
"""What the lines name as their process, and what their file is called."""


def deeds_file(logs: Path) -> Path:
    """Return the file in a log folder."""
    return logs / f"{LOGGER}.jsonl"


def tell(logs: Path, event: str, kind: str, **more: Any) -> None:
    """Append a line; a disk that takes none keeps nobody from doing what the line tells of."""
    line = {"timestamp": iso(system_now()), "level": "info", "logger": LOGGER, "event": event, "kind": kind, **more}
    try:
        descriptor = os.open(deeds_file(logs), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:
        return
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")
