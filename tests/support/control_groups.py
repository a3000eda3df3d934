"""Control groups of the machine that the tests run on, where they may be made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY_V1 = Path("/sys/fs/cgroup/memory")
MEMORY_V2 = Path("/sys/fs/cgroup")


def can_limit_memory() -> bool:
    """Whether a group with a limit of memory can be made here."""
    with memory_group(1 << 30) as folder:
        return folder is not None


@contextmanager
def memory_group(limit: int) -> Iterator[Path | None]:
    """Give the folder of a group that may use so many bytes, or None where none can be made."""
    folder = None
    for parent, name in ((MEMORY_V1, "memory.limit_in_bytes"), (MEMORY_V2, "memory.max")):
        folder = parent / f"fleetgen-test-{os.getpid()}-{limit}"
        try:
            folder.mkdir()
            (folder / name).write_text(str(limit))
            break
        except OSError:
            _remove(folder)
            folder = None
    try:
        yield folder
    finally:
        if folder is not None:
            _remove(folder)


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # not there, or a process of it is still ending
        return
