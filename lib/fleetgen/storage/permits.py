"""Owns the leave to publish: whoever commits a batch must show that the dataset's id was looked at under the lock.

Looking, and giving the leave, is `manifest`'s.
"""

from fleetgen.errors import DatasetChanged
from fleetgen.storage.locks import FileLock


class Permit:
    """Leave to publish, which a transaction gives for the dataset that it found; no commit is made without."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def check(self) -> None:
        """Raise DatasetChanged once the lock was let go: the dataset may be another one by now."""
        if not self._lock.is_ours:
            raise DatasetChanged
