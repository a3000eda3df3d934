"""Owns what this process may use of the machine, within the limits of containers and shells: memory, processors, room.

Sources: cgroups(7), the kernel's documents on both versions of control groups, getrlimit(2), malloc_trim(3),
pidfd_open(2), prctl(2). A limit that cannot be read, as on a system without control groups, is none.
"""

import ctypes
import math
import os
import resource
import select
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_UNLIMITED = 1 << 60
"""The first version of control groups writes a number near 2^63 for no limit."""

_PR_SET_PDEATHSIG = 1


def memory_bytes(process: Path = Path("/proc/self")) -> int:
    """Return how many bytes this process, and all that share its container, may use."""
    limits = [_physical_memory()]
    for version, folder in _groups(process, "memory"):
        name = "memory.max" if version == 2 else "memory.limit_in_bytes"
        limits += [limit for limit in _numbers(folder / name) if limit < _UNLIMITED]
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        if (soft := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY:
            limits.append(soft)
    return min(limits)


def processors(process: Path = Path("/proc/self")) -> int:
    """Return how many processors this process may use at once; at least 1."""
    limits = [float(_usable_processors())]
    for version, folder in _groups(process, "cpu"):
        if version == 2:
            share = _numbers(folder / "cpu.max")
        else:
            share = [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]
        if len(share) == 2 and min(share) > 0:
            limits.append(share[0] / share[1])
    return max(1, math.floor(min(limits)))


def memory_kills(process: Path = Path("/proc/self")) -> int:
    """Return how many processes of this one's group the system has killed so far because memory was short.

    Where no group counts them, the whole machine's are returned.
    """
    for version, folder in _groups(process, "memory"):
        counted = _counted(folder / ("memory.events" if version == 2 else "memory.oom_control"), "oom_kill")
        if counted is not None:
            return counted
    return _counted(Path("/proc/vmstat"), "oom_kill") or 0


def temporary_folder(otherwise: Path) -> Path:
    """Return the folder for temporary files; the other one where the system has none that can be used."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return otherwise


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(process: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the folders of the control groups that a process is in, from its own up, each with its version."""
    with suppress(OSError, ValueError):
        paths = _group_paths(process, controller)
        for line in (process / "mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            version = {"cgroup2": 2, "cgroup": 1}.get(kind, 0)
            if version in paths and (version == 2 or controller in options.split()[-1].split(",")):
                root, mount = (_unescaped(text) for text in before.split()[3:5])
                for folder in _upwards(Path(mount), root, paths[version]):
                    yield version, folder


def _group_paths(process: Path, controller: str) -> dict[int, str]:
    """Return the paths of a process's groups by version, as seen from where the hierarchies begin."""
    paths: dict[int, str] = {}
    for line in (process / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            paths[2] = path
        elif controller in controllers.split(","):
            paths[1] = path
    return paths


def _upwards(mount: Path, root: str, path: str) -> Iterator[Path]:
    """Yield a group's folder and all above it; a container may see no more of the hierarchy than its own group."""
    inside = path if root == "/" else path.removeprefix(root)
    folder = mount / inside.lstrip("/")
    if ".." in folder.parts or not folder.is_dir():
        folder = mount
    while folder != mount:
        yield folder
        folder = folder.parent
    yield mount


def _unescaped(text: str) -> str:
    """Return a path of mountinfo, in which blanks stand as octal numbers."""
    return text.encode().decode("unicode_escape") if "\\" in text else text


def _numbers(path: Path) -> list[int]:
    """Return the whole numbers in a file; none where it has other words, or is not there."""
    with suppress(OSError, ValueError):
        return [int(word) for word in path.read_text().split()]
    return []


def _counted(path: Path, name: str) -> int | None:
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return None


def give_memory_back() -> None:
    """Return freed memory to the system, where the C library can: it would keep most of it otherwise."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def has_ended(pid: int) -> bool:
    """Whether a process has ended; where the system can say so, also if its parent has not noticed yet."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError, OverflowError):
        return _is_unknown(pid)
    end = select.poll()
    end.register(process, select.POLLIN)
    try:
        return bool(end.poll(0))
    finally:
        os.close(process)


def _is_unknown(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError) as fault:
        return isinstance(fault, ProcessLookupError)
    return False


def die_with_parent() -> None:
    """Let the system kill this process when the thread that started it ends; only Linux can."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
