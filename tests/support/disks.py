"""Disks that are odd: real mounts, and a library that lets a system call fail as on disks that cannot be had here."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_SYNC_OF_FOLDERS = """
int fsync(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) { errno = EINVAL; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(descriptor);
}
"""
_LINKS = """
int link(const char *from, const char *to) { errno = EOPNOTSUPP; return -1; }
int linkat(int a, const char *from, int b, const char *to, int how) { errno = EOPNOTSUPP; return -1; }
"""
FAULTS = {
    "fsync of folders": _SYNC_OF_FOLDERS,
    "hard links": _LINKS,
    "locks": "int flock(int descriptor, int how) { errno = ENOSYS; return -1; }",
    "locks that exclude": "int flock(int descriptor, int how) { return 0; }",
}
"""What a disk may lack, and how a C library looks that lacks it."""


def mounted(*arguments: str | Path) -> None:
    """Mount something; only root may."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


@contextmanager
def mount_of_its_own(folder: Path) -> Iterator[None]:
    """Mount a folder upon itself: it is of the same disk as what is around it, but nothing can be moved across."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted("--bind", folder, folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def lacking(operation: str, folder: Path) -> dict[str, str]:
    """Return the environment in which processes find an operation of the disk lacking."""
    source, library = folder / "lacking.c", folder / "lacking.so"
    headers = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <errno.h>\n#include <sys/stat.h>\n"
    source.write_text(headers + FAULTS[operation])
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs a C compiler, to let a system call fail")
    return {"LD_PRELOAD": str(library)}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A small file system in a folder; its size is in bytes."""
    folder.mkdir(exist_ok=True)
    mounted("-t", "tmpfs", "-o", f"size={size}", "none", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount something in a folder that is not there yet."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    try:
        with small_disk(folder, 1 << 20):
            return True
    except subprocess.CalledProcessError:
        return False


def fill(path: Path, leave: int) -> None:
    """Write a file until so many bytes are left on its disk."""
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while (free := shutil.disk_usage(path.parent).free) > leave:
            file.write(b"x" * min(free - leave, 1 << 20))
