"""Owns finding out, by trying, what the disk of a data directory can; leaves doing without to whoever needs it.

Network disks, FUSE and container mounts each lack something. What nothing can go on without is refused here at once,
instead of being tried again for ever: a lock that excludes, and one file system to move a finished batch within.
"""

import errno
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.errors import SystemLacks
from fleetgen.storage.files import make_folder
from fleetgen.storage.layout import Layout

_NOT_FOR_TABLES = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")
"""What the Delta libraries take for something else in a path: hosts of URLs, Windows' separators, encoded characters."""

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
"""How disks refuse a hard link that they cannot make."""


def require_disk(layout: Layout) -> None:
    """Raise SystemLacks if batches cannot be published in this data directory."""
    make_folder(layout.manifests)
    if not locks_exclude(layout.manifest_lock):
        raise SystemLacks(
            f"The disk of {layout.data} gives one lock to two at once, so that nothing keeps two processes from "
            "writing the same: put paths.data on a local disk."
        )
    for folder in mounts_within(layout):
        raise SystemLacks(
            f"{folder} is a mount of its own, so that a finished batch cannot be moved there in one step: mount all of "
            f"{layout.data} instead."
        )


def require_path_for_tables(data: Path) -> None:
    """Raise SystemLacks if Delta tables cannot lie below a folder of this name."""
    if found := _NOT_FOR_TABLES.search(str(data)):
        raise SystemLacks(
            f"Delta tables cannot lie below {data}, whose name has {found[0]!r} in it: rename the folder, or set "
            "pipeline.enabled to false."
        )


def locks_exclude(path: Path) -> bool:
    """Whether a lock on a file is refused to a second one; raises SystemLacks where files cannot be locked at all."""
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT, 0o666) for _ in range(2))
    try:
        return not (_locked(first) and _locked(second))  # held by somebody else at this moment: then it excludes
    except OSError as fault:
        raise SystemLacks(
            f"{path.parent} cannot lock files ({fault.strerror}): put paths.data on a local disk."
        ) from fault
    finally:
        for descriptor in (first, second):
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def can_link(folder: Path) -> bool:
    """Whether the disk makes hard links, which Delta tables are committed by where it does.

    The folder is made and removed: one in which a kill may leave something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source"
    try:
        source.write_bytes(b"")
        os.link(source, folder / f"link.{os.getpid()}")
    except OSError as fault:
        if fault.errno in NO_LINKS:
            return False
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def mounts_within(layout: Layout) -> Iterator[Path]:
    """Yield the folders between which finished batches move and that are mounts of their own."""
    truth = layout.data / "truth"
    folders = [
        layout.staging,
        layout.raw,
        truth,
        *(above / stream for above in (layout.raw, truth) for stream in Stream),
    ]
    mounts = _mount_points()
    for folder in folders:
        if str(folder) in mounts or folder.is_mount():
            yield folder


def _mount_points() -> set[str]:
    """Return every mount of the system: a folder of the same disk that is mounted elsewhere looks like any other."""
    if sys.platform != "linux":
        return set()
    with suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
        return {os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1")) for line in lines}
    return set()
