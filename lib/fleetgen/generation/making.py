"""Owns who makes the files of a backfill's batches: this process, or worker processes beside it.

Executors of Spark are in `spark`. Publishing what they made, in its order, is left to `backfilling` and `rounds`.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from fleetgen.domain.together import MOST_BATCHES, groups
from fleetgen.errors import FleetgenError
from fleetgen.generation.staging import Placed, Staged, stage_for_round

_AHEAD = 4
"""Groups of batches that a worker may be ahead of the commits."""


class Makers(Protocol):
    """Whoever stages batches."""

    @property
    def ahead(self) -> int:
        """The most batches that are staged, or being staged, beyond those of a round."""

    def staged(self, placed: Iterator[Placed]) -> Iterator[Staged]:
        """Stage batches, perhaps some ahead; yield them in their order."""


class InTurn:
    """This process, one batch after the other."""

    ahead = MOST_BATCHES

    def staged(self, placed: Iterator[Placed]) -> Iterator[Staged]:
        """Stage each batch when it is asked for."""
        return stage_for_round(placed)


class Processes:
    """Worker processes, which make batches ahead."""

    def __init__(self, jobs: int, start_worker: Callable[[], None]) -> None:
        self._jobs = jobs
        self._start_worker = start_worker
        self._groups_ahead = jobs * _AHEAD
        self.ahead = (self._groups_ahead + 1) * MOST_BATCHES  # one of them is being committed

    def staged(self, placed: Iterator[Placed]) -> Iterator[Staged]:
        """Stage batches in the workers, which end with the last one; raise FleetgenError if one of them is killed."""
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(self._jobs, context, initializer=self._start_worker) as workers:
                yield from self._by(workers, placed)
        except BrokenProcessPool as fault:
            raise FleetgenError("A worker process was killed; what was made is kept. Call again to go on.") from fault

    def _by(self, workers: ProcessPoolExecutor, placed: Iterator[Placed]) -> Iterator[Staged]:
        waiting: deque[Future[list[Staged]]] = deque()
        for group in groups(placed, lambda each: each[1]):
            waiting.append(workers.submit(_staged, group))
            if len(waiting) == self._groups_ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _staged(group: list[Placed]) -> list[Staged]:
    return list(stage_for_round(group))


def local_makers(jobs: int, start_worker: Callable[[], None]) -> Makers:
    """Return so many makers on this machine."""
    return InTurn() if jobs <= 1 else Processes(jobs, start_worker)
