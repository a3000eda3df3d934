"""Who makes batches on this machine: in turn or by processes, they come in their order and with the same bytes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.batches import BatchInputs
from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.generation.making import InTurn, Makers, Processes, local_makers
from fleetgen.generation.staging import Placed
from support.domain_cases import QUARTER, emulated, only_segment

SEGMENT = only_segment(emulated())


def placed(folder: Path, count: int) -> Iterator[Placed]:
    for number in range(count):
        inputs = BatchInputs(Stream.EVENTS, number, QUARTER, SEGMENT, (SEGMENT,), company_count=20)
        yield folder / f"events-{number}", inputs


def noop() -> None:
    """Do nothing at a worker's start."""


def die() -> None:
    """End a worker as the system's killer of processes does."""
    os.kill(os.getpid(), signal.SIGKILL)


def made(makers: Makers, folder: Path) -> list[tuple[int, str]]:
    return [(each.inputs.number, each.meta["sha256"]) for each in makers.staged(placed(folder, 12))]


def test_one_job_is_this_process() -> None:
    assert isinstance(local_makers(1, noop), InTurn)
    assert isinstance(local_makers(2, noop), Processes)


def test_processes_give_the_same_batches_in_their_order(tmp_path: Path) -> None:
    expected = made(InTurn(), tmp_path)
    assert [number for number, _ in expected] == list(range(12))
    assert made(Processes(2, noop), tmp_path) == expected


def test_in_turn_makes_nothing_ahead(tmp_path: Path) -> None:
    staged = InTurn().staged(placed(tmp_path, 3))
    next(staged)
    assert [path.name.partition(".")[0] for path in tmp_path.iterdir()] == ["events-0"]


def test_a_killed_worker_is_told_of_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FleetgenError, match="Call again"):
        made(Processes(1, die), tmp_path)
