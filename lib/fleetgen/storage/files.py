"""Owns durable writes and locks on files; leaves what is written to its callers."""

import ctypes
import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleetgen.errors import CannotCreate, HeldByAnother, Interrupted, NotYet, SystemLacks

LOCK_TIMEOUT_SECONDS = 10.0

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


class FileLock:
    """An exclusive lock on a file, released by the system when its holder dies.

    It is held for a piece of work (`held`), which others wait for, or for a process's life (`hold`), which they do not.
    The file holds the holder's pid, for messages. ``waited_seconds`` tells how long the last acquisition took.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waited_seconds = 0.0
        self._descriptor: int | None = None

    def acquire(
        self, timeout_seconds: float = LOCK_TIMEOUT_SECONDS, interrupted: Callable[[], bool] = lambda: False
    ) -> None:
        """Take the lock, or raise NotYet after the timeout, Interrupted when asked to stop, SystemLacks without locks.

        ``interrupted`` is asked again and again meanwhile, so that it may also show that the process is alive.
        """
        self._take(timeout_seconds, interrupted, refuses=lambda descriptor: False)

    def hold(self) -> None:
        """Take the lock for the life of this process; raise HeldByAnother at once if another one has done so.

        Those who only look share the lock for a moment: that is waited out, NotYet raised if it does not end.
        """
        if self._descriptor is None:
            self._take(LOCK_TIMEOUT_SECONDS, lambda: False, refuses=self._is_exclusive)
            self.sign()

    def is_held(self) -> bool:
        """Whether another process has the lock. Looking keeps nobody from taking it."""
        descriptor = self._open()
        try:
            return self._is_exclusive(descriptor)
        finally:
            os.close(descriptor)

    def _take(self, timeout_seconds: float, interrupted: Callable[[], bool], refuses: Callable[[int], bool]) -> None:
        began = time.monotonic()
        descriptor = self._open()
        pause = 0.0005
        try:
            while not self._try(descriptor, fcntl.LOCK_EX):
                if refuses(descriptor):
                    raise HeldByAnother(f"{self.path} is held by {self.holder()}.")
                if interrupted():
                    raise Interrupted
                if time.monotonic() - began >= timeout_seconds:
                    raise NotYet(f"{self.path} is held by {self.holder()}.")
                time.sleep(pause)
                pause = min(pause * 2, 0.02)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self.waited_seconds = time.monotonic() - began

    def _is_exclusive(self, descriptor: int) -> bool:
        """Whether somebody has the lock for itself: others who look would share it."""
        if not self._try(descriptor, fcntl.LOCK_SH):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    @property
    def is_ours(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def sign(self) -> None:
        """Write this process's pid into the held lock, for the messages of those who are refused."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go of the lock; without one, do nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None  # first: the next thread has it once it is closed
            os.close(descriptor)

    def holder(self) -> str:
        """Name the process that holds the lock, as far as it told."""
        with suppress(OSError, ValueError):
            return f"process {int(self.path.read_text())}"
        return "another process"

    @contextmanager
    def held(
        self, timeout_seconds: float = LOCK_TIMEOUT_SECONDS, interrupted: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Hold the lock for a block."""
        self.acquire(timeout_seconds, interrupted)
        try:
            yield
        finally:
            self.release()

    def _open(self) -> int:
        make_folder(self.path.parent)
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as fault:
            raise cannot_create(self.path, fault) from fault

    def _try(self, descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as fault:
            if fault.errno in LASTING:
                raise SystemLacks(f"{self.path.parent} cannot lock files: put paths.data on a local disk.") from fault
            raise
        return True
