"""Owns what the hash of a batch is, by the version of its files' layout; leaves the comparing to its callers.

Since version 2 the hash of several parts is that of their hashes, so that each byte is hashed once (ADR 0026). Version 1
hashed all bytes as if the parts were one file. A batch of one part has that part's hash in both.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from fleetgen.domain.records import SCHEMA_VERSION

_OVER_ALL_BYTES = 1
"""The last version in which the hash of several parts is that of all their bytes."""


_PIECES_BEHIND = 2
"""Pieces that wait to be hashed in a thread of their own; they take memory meanwhile."""


class Hash(Protocol):
    """What takes in bytes; hashlib's objects do."""

    def update(self, data: memoryview, /) -> None:
        """Take in further bytes."""


class BatchHash:
    """Hashes a batch part by part."""

    def __init__(self, schema_version: int = SCHEMA_VERSION) -> None:
        self._over_all_bytes = schema_version <= _OVER_ALL_BYTES
        self._parts: list[str] = []
        self._part = hashlib.sha256()
        self._whole: hashlib._Hash | None = None

    def update(self, piece: bytes | memoryview) -> None:
        """Take in the next bytes of the part."""
        self._part.update(piece)
        if self._whole is not None:
            self._whole.update(piece)

    def end_part(self) -> str:
        """Return the hash of the part that ends here."""
        self._parts.append(self._part.hexdigest())
        if self._over_all_bytes and self._whole is None:
            self._whole = self._part  # up to its end the first part is the whole
        self._part = hashlib.sha256()
        return self._parts[-1]

    def hexdigest(self) -> str:
        """Return the hash of the batch, whose parts have ended."""
        return hash_of_parts(self._parts) if self._whole is None else self._whole.hexdigest()


def hash_of_parts(hashes: Iterable[str]) -> str:
    """Return the hash of a batch whose parts have these, as `sha256sum events-*.jsonl | cut -c1-64 | sha256sum` prints it."""
    hashes = list(hashes)
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest()


@contextmanager
def beside(hashed: Hash) -> Iterator[Callable[[memoryview], None]]:
    """Give a function that has its pieces hashed in order in a thread of its own, for hashlib lets other threads run.

    A fault of the thread is raised by a later call, or at the end. Nothing runs any more after the block.
    """
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, "hashing") as thread:

        def update(piece: memoryview) -> None:
            waiting.append(thread.submit(hashed.update, piece))
            if len(waiting) > _PIECES_BEHIND:
                waiting.popleft().result()

        yield update
        while waiting:
            waiting.popleft().result()
