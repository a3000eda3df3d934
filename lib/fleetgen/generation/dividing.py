"""Owns the check of a whole dataset by several processes: each gets ranges of the ledgers, the answers keep their order.

What is checked is said in `checking`.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.generation.checking import Difference, check_batches, check_companies_file, check_manifest, check_order
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest

RANGE_BYTES = 1 << 15
"""Of a ledger: about 80 small batches."""

_AHEAD = 4
"""Ranges that wait for each process, so that none has to wait for the answers to be read."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found in a range."""

    batches: int
    differences: list[Difference]


def check_by_processes(
    dataset: Dataset, jobs: int, start_worker: Callable[[], None], progress: Callable[[int], None]
) -> Iterator[Difference]:
    """Yield what `checking.check` yields for all batches, in the same order; ``jobs`` processes look for it."""
    manifest = dataset.manifest()
    context = multiprocessing.get_context("spawn")
    workers = ProcessPoolExecutor(jobs, context, initializer=start_worker)
    try:
        done = 0
        for checked in _in_order(workers, dataset, manifest, jobs * _AHEAD):
            yield from checked.differences
            done += checked.batches
            progress(done)
    except BrokenProcessPool as fault:
        raise FleetgenError("A process that checks was killed: nothing is known of the rest. Call again.") from fault
    finally:
        workers.shutdown(wait=False, cancel_futures=True)
    yield from check_companies_file(dataset)


def _in_order(workers: ProcessPoolExecutor, dataset: Dataset, manifest: Manifest, ahead: int) -> Iterator[_Checked]:
    """Yield the answers in the order of the ledgers; each stream's begin with whether its ledger is one."""
    waiting: deque[Future[_Checked]] = deque()
    for stream in Stream:
        for start, end in dataset.ledgers[stream].ranges(RANGE_BYTES):
            waiting.append(workers.submit(_check_range, dataset.layout, manifest, stream, start, end))
            if start == 0:
                yield from _finished(waiting, keep=1)
                behind = [*check_manifest(dataset, manifest, stream), *check_order(dataset, manifest, stream)]
                yield _Checked(0, behind)
            yield from _finished(waiting, keep=ahead)
    yield from _finished(waiting, keep=0)


def _finished(waiting: deque[Future[_Checked]], keep: int) -> Iterator[_Checked]:
    """Yield the oldest answers until no more than so many are waited for."""
    while len(waiting) > keep:
        yield waiting.popleft().result()


def _check_range(layout: Layout, manifest: Manifest, stream: Stream, start: int, end: int) -> _Checked:
    dataset = _opened(layout)
    known = manifest.head(stream).next_batch  # what came later was published since the manifest was read
    entries = [
        entry
        for entry in dataset.ledgers[stream].entries_between(start, end)
        if isinstance(entry, BatchEntry) and entry.batch_number < known
    ]
    found = [each for differences in check_batches(dataset, manifest, stream, entries) for each in differences]
    return _Checked(len(entries), found)


@lru_cache(maxsize=1)
def _opened(layout: Layout) -> Dataset:
    """Return a process's own view of the dataset; it reads each segment's file once."""
    return Dataset(layout)
