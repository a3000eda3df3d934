"""Owns durable writes and renames of files and folders; leaves what is written to its callers."""

import ctypes
import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from fleetgen.errors import CannotCreate, SystemLacks

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS}
_CANNOT_RENAME = {errno.EXDEV, errno.EBUSY}
_CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, *_CANNOT_RENAME}
_AT_CWD, _RENAME_EXCHANGE = -100, 2
_REMEDIES = (
    (_NO_ROOM, "Make room, then try again."),
    (_NO_ACCESS, "Grant access, then try again."),
    (
        {errno.EBUSY, errno.ETXTBSY},
        "It is in use, or a mount of its own: free it, or mount the folder around it instead.",
    ),
    ({errno.EEXIST, errno.ENOTDIR}, "A file lies where a folder should be: move it away."),
    ({errno.EISDIR}, "A folder lies where a file should be: move it away."),
    ({errno.EXDEV}, "Two file systems lie there: put the whole data directory on one."),
    ({errno.EMFILE, errno.ENFILE}, "Too few files may be open: raise the limit, see `ulimit -n`."),
    ({errno.ENOLCK}, "The disk gives no locks at present: look at its server's lock service."),
    ({errno.EIO, errno.ESTALE}, "The disk does not answer as it should: look at the system's log."),
)
LASTING = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV})
"""Faults that no waiting mends: the disk, or the system, cannot do it."""


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the disk can do so for a folder at all; some network disks cannot."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> bool:
    """Remove a file or a folder with all in it; return whether nothing of it is left.

    Of a folder that cannot go itself, since it is a mount of its own, the contents are removed: that is success too.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return True
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists() or not any(path.iterdir())


def move_or_remove(path: Path, target: Path) -> bool:
    """Move a file or folder out of the way; where the system cannot rename it, remove it. Return whether it is gone.

    A folder from a lower layer of overlayfs, or one that is a mount of its own, cannot be renamed.
    """
    try:
        path.replace(target)
    except OSError as fault:
        if fault.errno not in _CANNOT_RENAME:
            raise
        return remove_tree(path)
    return True


def put_in_place(source: Path, target: Path) -> None:
    """Rename a file or folder over another one, which a reader sees until it sees the new one; durable afterwards.

    Where the system cannot exchange two names, the old one is moved beside the source first. What is replaced lies at the
    source's place or beside it then; its remains are the caller's.
    """
    make_folder(target.parent)
    if not os.path.lexists(target):
        source.rename(target)
    elif not _exchange(source, target):
        aside = source.with_name(f"{source.name}.old")
        remove_tree(aside)  # of an earlier attempt that was killed
        move_or_remove(target, aside)
        source.rename(target)
    sync_folder(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; return False where the system, or this disk, cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library without it
        return False
    if call(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it durably; one that exists is fine. Raises CannotCreate."""
    if folder.is_dir():
        return
    try:
        make_folder(folder.parent)
        folder.mkdir(mode=mode, exist_ok=True)
        sync_folder(folder.parent)
    except OSError as fault:
        raise cannot_create(folder, fault) from fault


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter, or make an own one such; raise CannotCreate for one shared by others."""
    make_folder(folder, mode=0o700)
    status = folder.stat()
    if not status.st_mode & 0o077:
        return
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
        raise CannotCreate(
            f"{folder} is shared with others, but it will hold sockets: set paths.run to a folder of your own."
        )
    folder.chmod(0o700)


def cannot_create(path: Path, fault: OSError) -> CannotCreate:
    """Say what could not be made and why."""
    return CannotCreate(f"Cannot write {path}: {fault.strerror or fault}. {remedy_of(fault)}".rstrip())


def remedy_of(fault: OSError) -> str:
    """Return what helps against a fault of the disk, as a sentence; nothing where nobody knows."""
    return next((remedy for numbers, remedy in _REMEDIES if fault.errno in numbers), "")


def replace_file(path: Path, content: bytes, durable: bool = True, mode: int | None = None) -> None:
    """Put a file in place whole: a reader sees the old content or the new, a crash leaves one of them."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write_file(temporary, content, durable)
        if mode is not None:
            temporary.chmod(mode & 0o7777)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def discard_replacements(folder: Path, pattern: str) -> None:
    """Remove the new content of files that a kill kept from being put in place; for whoever alone may replace them."""
    for left in folder.glob(f".{pattern}.*.new"):
        left.unlink(missing_ok=True)


def write_file(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file, to the disk if it is to be durable."""
    with path.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def raise_lasting(fault: Exception) -> None:
    """Raise SystemLacks for a fault that trying again does not mend; return otherwise."""
    if isinstance(fault, SystemLacks):
        raise fault
    if isinstance(fault, OSError) and fault.errno in LASTING:
        place = fault.filename2 or fault.filename
        raise SystemLacks(
            f"The disk cannot do what is needed{f' at {place}' if place else ''} ({fault.strerror}): put paths.data on a "
            "local disk, whole."
        ) from fault


def is_disk_fault(fault: BaseException) -> bool:
    """Whether waiting for room or access may cure the fault."""
    return isinstance(fault, CannotCreate) or (isinstance(fault, OSError) and fault.errno in _NO_ROOM | _NO_ACCESS)
