"""Owns what an executor does: it stages the batches of one block on the path that all share.

It needs the core package, numpy and pydantic, and is shipped with the package: nothing here may import more. What becomes
of staged batches is left to the driver.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetgen.domain.batches import BatchInputs
from fleetgen.errors import FleetgenError
from fleetgen.generation.staging import stage_for_round

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Run:
    """What every task of one command knows."""

    mark: Path
    """A folder in staging that is there as long as the command's work is wanted."""
    machine: str
    """The driver's `machine`."""


@dataclass(frozen=True, slots=True)
class Made:
    """A batch that a task has staged; the driver knows its inputs."""

    folder: Path
    meta: dict[str, Any]
    phases: dict[str, float]


@dataclass(frozen=True, slots=True)
class NotShared:
    """A task's answer where the driver's mark is not to be seen."""

    host: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A task's answer where it could not write. It is no exception there: to try again elsewhere would help nobody."""

    fault: OSError | FleetgenError


Block = list[tuple[Path, BatchInputs]]
"""Batches that one task makes, one after the other, each with its staging folder's name."""

Answer = list[Made] | NotShared | Failed


def stage_blocks(run: Run, blocks: Iterator[Block]) -> Iterator[Answer]:
    """Stage the blocks of one partition; one answer for each."""
    attempt = _attempt()
    for block in blocks:
        yield _staged(run, block, attempt)


def machine() -> str:
    """Return what tells machines apart: containers of one machine have the same, for they write by one kernel."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return socket.gethostname()


def _staged(run: Run, block: Block, attempt: int) -> Answer:
    made = []
    durable = (
        machine() != run.machine
    )  # the driver's sync of a whole file system reaches its own machine's writes alone
    batches = stage_for_round([(own_folder(run, folder, attempt), inputs) for folder, inputs in block], durable)
    try:
        for _ in block:
            if not run.mark.is_dir():
                return NotShared(socket.gethostname())
            staged = next(batches)
            made.append(Made(staged.folder, staged.meta, staged.phases))
    except (OSError, FleetgenError) as fault:
        return Failed(fault)
    return made


def own_folder(run: Run, folder: Path, attempt: int) -> Path:
    """Return a folder that no other attempt writes to: Spark may start a task again while a lost executor still works
    on it, and one of a killed command may live on for a moment beside the next command.
    """
    return folder.with_name(f"{folder.name}-{run.mark.stem.rpartition('-')[2]}-{attempt}")


def _attempt() -> int:
    from pyspark import TaskContext  # here alone, so that what is shipped can be looked at without pyspark

    context = TaskContext.get()
    return 0 if context is None else context.taskAttemptId()
