"""Owns locks on files: who has one, how long others wait for it, and what they are told."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleetgen.errors import HeldByAnother, Interrupted, NotYet, SystemLacks
from fleetgen.storage.files import LASTING, cannot_create, make_folder

LOCK_TIMEOUT_SECONDS = 10.0


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
