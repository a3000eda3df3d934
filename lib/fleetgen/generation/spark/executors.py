"""Owns spreading batches over executors: waves of blocks go out, one ahead of the commits, and come back in their order.

A task is what a worker process is to `--jobs`; it is described in `tasks`. See ADR 0031.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType

from pyspark import SparkContext

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.generation.spark.session import FAULTS, Cluster, gave_up, session
from fleetgen.generation.spark.shipping import pack
from fleetgen.generation.spark.tasks import Answer, Block, Failed, Made, NotShared, Run, machine, stage_blocks
from fleetgen.generation.staging import Placed, Staged
from fleetgen.storage.bronze import discard_staged
from fleetgen.storage.files import make_folder
from fleetgen.storage.layout import Layout

_WAVES = 2
"""Waves at once: executors work on one while the other is committed."""

_BLOCK_BATCHES = 256
_BLOCK_BYTES = 16 << 20
"""A block ends with about so many bytes: enough that a task's start does not count, little enough to be made again."""

_TASKS_PER_CORE = 2


class Executors:
    """Those of one Spark session, which begins with the first batch and ends with a block of `with`.

    In the end nothing is left in staging, whoever staged it: so all must have been committed by then.
    """

    def __init__(self, layout: Layout, cluster: Cluster, partitions: int | None) -> None:
        self._layout = layout
        self._cluster = cluster
        self._partitions = partitions
        self._batch_bytes = _BLOCK_BYTES  # until the first wave tells, a block is one batch
        self._stack = ExitStack()
        self.ahead = _BLOCK_BATCHES  # places differ within a block; a task gives them a name of their own

    def __enter__(self) -> "Executors":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def staged(self, placed: Iterator[Placed]) -> Iterator[Staged]:
        """Stage batches on the executors; raise FleetgenError where the path is not shared or Spark gives up."""
        run = self._stack.enter_context(_marked(self._layout))
        context = self._stack.enter_context(session(self._cluster, pack(run.mark / "fleetgen.zip")))
        waves = self._stack.enter_context(ThreadPoolExecutor(_WAVES))
        self._stack.callback(_quietly, context.cancelAllJobs)
        try:
            yield from self._in_waves(context, run, waves, placed)
        except FAULTS as fault:
            raise gave_up(self._cluster, fault) from fault

    def _in_waves(
        self, context: SparkContext, run: Run, waves: ThreadPoolExecutor, placed: Iterator[Placed]
    ) -> Iterator[Staged]:
        partitions = self._partitions or _TASKS_PER_CORE * context.defaultParallelism
        waiting: deque[tuple[list[Block], Future[list[Answer]]]] = deque()
        while True:
            blocks = divided(list(islice(placed, partitions * self._block_batches())), partitions)
            if blocks:
                waiting.append((blocks, waves.submit(_answers, context, run, blocks)))
            if len(waiting) == _WAVES or (waiting and not blocks):
                yield from self._finished(*waiting.popleft())
            elif not blocks:
                return

    def _finished(self, blocks: list[Block], answers: Future[list[Answer]]) -> Iterator[Staged]:
        found = [self._made(answer) for answer in answers.result()]
        total = [made.meta["bytes"] for block in found for made in block]
        self._batch_bytes = max(1, sum(total) // len(total))
        for block, made_block in zip(blocks, found, strict=True):
            for (_, inputs), made in zip(block, made_block, strict=True):
                yield Staged(made.folder, inputs, made.meta, made.phases)

    def _block_batches(self) -> int:
        return max(1, min(_BLOCK_BATCHES, _BLOCK_BYTES // self._batch_bytes))

    def _made(self, answer: Answer) -> list[Made]:
        if isinstance(answer, NotShared):
            raise FleetgenError(
                f"The data path {self._layout.data} is not shared: an executor on {answer.host} does not see it as the "
                "driver does. Mount it there at the same place, or set paths.data to a path that all share."
            )
        if isinstance(answer, Failed):
            raise answer.fault
        return answer


def divided(batches: list[Placed], partitions: int) -> list[Block]:
    """Divide batches, in their order, into at most so many blocks of about the same number; none is empty."""
    count = min(partitions, len(batches))
    bounds = [number * len(batches) // count for number in range(count + 1)] if count else [0]
    return [batches[first:end] for first, end in pairwise(bounds)]


def _answers(context: SparkContext, run: Run, blocks: list[Block]) -> list[Answer]:
    """Let executors stage blocks, each as one partition; return their answers in the same order."""
    answers: list[Answer] = context.parallelize(blocks, len(blocks)).mapPartitions(partial(stage_blocks, run)).collect()
    return answers


@contextmanager
def _marked(layout: Layout) -> Iterator[Run]:
    """Let there be a mark that tasks look for; in the end nothing is left in staging."""
    make_folder(layout.staging)
    mark = Path(mkdtemp(".mark", f"{Stream.EVENTS}-spark-", layout.staging))
    mark.chmod(0o755)  # whoever may look at the data may see it
    try:
        yield Run(mark, machine())
    finally:
        for stream in Stream:
            discard_staged(layout, stream)


def _quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except FAULTS:
        return
