"""Owns which processes a process group has, and whether they are Spark's: by whole command lines, which `ps` may cut off."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OF_SPARK = "org.apache.spark."
"""In the command line of each JVM of Spark, and of the scripts that start one."""

_PROC = Path("/proc")
_EXEC_SECONDS = 0.1
"""While a script becomes a JVM its command line is empty for a moment."""


def is_there(group: int) -> bool:
    """Whether a group has a process that has not ended."""
    return any(True for _ in _commands(group))


def runs_spark(group: int) -> bool:
    """Whether a group, which may be another one since, has a process of Spark."""
    if group <= 0:
        return False
    if any(OF_SPARK in command for command in _commands(group)):
        return True
    if not is_there(group):
        return False
    time.sleep(_EXEC_SECONDS)
    return any(OF_SPARK in command for command in _commands(group))


def _commands(group: int) -> Iterator[str]:
    """Yield the command line of each process of a group that has not ended."""
    return _by_proc(group) if (_PROC / "self" / "stat").exists() else _by_ps(group)


def _by_proc(group: int) -> Iterator[str]:
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):  # it ended meanwhile
            if os.getpgid(int(folder.name)) != group:
                continue
            state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            if state not in "ZX":
                yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _by_ps(group: int) -> Iterator[str]:
    command = ["ps", "-A", "-ww", "-o", "pgid=,stat=,args="]
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        pgid, state, *arguments = line.split(None, 2)
        if int(pgid) == group and not state.startswith("Z"):
            yield " ".join(arguments)
