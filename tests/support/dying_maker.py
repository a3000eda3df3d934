"""Lives through the life of a dataset again and again, and kills itself one step on the disk later each time.

A step is whatever Python's audit hooks tell of below the data directory: a lock, a folder or file made, opened for
writing, renamed, cut or removed, a folder opened to be synced. The process dies just before its N-th step, that is just
after the one before. Then the life is gone on with by a process that does not die. As a program:

    python dying_maker.py FOLDER LIFE FIRST STRIDE

makes ``FOLDER/N`` for N = FIRST, FIRST + STRIDE, … until a life ends without dying, and prints how many died.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fleetgen.domain.records import SECOND, Stream
from fleetgen.generation import rounds
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.checking import check
from fleetgen.generation.cleaning import clean
from fleetgen.generation.repairing import repair
from support.simulation import NOON, Simulation

SETTINGS = {"company_interval": '"PT10S"', "driver_interval": '"PT5S"', "catch_up_limit": "2"}

_WRITING = os.O_WRONLY | os.O_RDWR
_ONE_PATH = ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "fcntl.flock")


def on_disk_steps(folder: Path, told: Callable[[str, Path], None]) -> None:
    """Call ``told`` with name and path just before each step on the disk below a folder."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (path := _stepped_on(event, arguments)) is not None and path.is_relative_to(folder):
            told(event, path)

    sys.addaudithook(hook)


def _stepped_on(event: str, arguments: tuple[Any, ...]) -> Path | None:
    if event == "open":
        path, _, flags = arguments
        return _path(path) if flags & (_WRITING | os.O_DIRECTORY) else None
    if event == "os.rename":
        return _path(arguments[0], arguments[2])
    if event in ("os.mkdir", "os.remove", "os.rmdir"):
        return _path(arguments[0], arguments[-1])
    return _path(arguments[0]) if event in _ONE_PATH else None


def _path(named: Any, folder: int = -1) -> Path:
    if isinstance(named, int):
        return Path(f"/proc/self/fd/{named}").readlink()
    path = Path(os.fsdecode(named))
    return path if folder < 0 else Path(f"/proc/self/fd/{folder}").readlink() / path


def die_at_step(folder: Path, number: int) -> None:
    """Let this process be killed just before its N-th step on the disk below a folder."""
    left = number

    def count(event: str, path: Path) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    on_disk_steps(folder, count)


class Life:
    """A dataset's life in steps, each of which can be taken again; where it stands is kept beside the data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "life.json"
        self._stands: dict[str, Any] = {"step": 0, "moment": NOON, "changes": SETTINGS}
        if self._record.exists():
            self._stands = json.loads(self._record.read_text())
        self.simulation = Simulation(folder, start=self._stands["moment"], **self._stands["changes"])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def go_on(self, steps: list["Step"]) -> None:
        """Take the steps that are left."""
        for step in steps[self._stands["step"] :]:
            step(self)
            self._stands["step"] += 1
            self._note()

    def change(self, **changes: str) -> None:
        """Edit the configuration."""
        self._stands["changes"] = self._stands["changes"] | changes
        self._note()
        self.simulation.edit(**changes)

    def _note(self) -> None:
        self._stands["moment"] = self.simulation.clock.moment
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(self._stands))
        new.replace(self._record)


Step = Callable[[Life], None]


def passing(seconds: int) -> list[Step]:
    """Let time pass, five seconds a step."""
    return [lambda life: (life.simulation.run_for(5), None)[1]] * (seconds // 5)


def edit(life: Life) -> None:
    """Alter the size of company batches, which opens a segment."""
    _open_segment(life, companies_per_batch="7")


def _open_segment(life: Life, **changes: str) -> None:
    life.change(**changes)
    for maker in life.simulation.makers.values():
        maker.follow_config()


def soil(life: Life) -> None:
    """Inject issues from now on, so that batches have truths."""
    _open_segment(life, enabled="true")


def be_away(life: Life) -> None:
    """Have no process for longer than is caught up with."""
    life.simulation.stop()
    life.simulation.clock.moment += 100 * SECOND
    life.simulation.start()


def pause(life: Life) -> None:
    """Ask for a pause."""
    _ask(life, paused=True)


def resume(life: Life) -> None:
    """End the pause."""
    _ask(life, paused=False)


def _ask(life: Life, paused: bool) -> None:
    with life.simulation.dataset.store.locked() as transaction:
        desired = transaction.manifest.desired
        if desired.paused != paused:
            moment = {"paused_at" if paused else "resumed_at": life.simulation.clock.moment}
            transaction.save(transaction.manifest.updated(desired=desired.updated(paused=paused, **moment)))


def lose_batches(life: Life) -> None:
    """Delete a batch of events and damage one of companies, by hand."""
    layout = life.simulation.loaded.layout
    shutil.rmtree(sorted(layout.stream(Stream.EVENTS).iterdir())[2], ignore_errors=True)
    (sorted(layout.stream(Stream.COMPANIES).iterdir())[1] / "companies.jsonl").write_bytes(b"{}\n")


def repair_batches(life: Life) -> None:
    """Do what `fleetgen verify --all --repair` does."""
    dataset = life.simulation.dataset
    for difference in list(check(dataset, None)):
        repair(dataset, dataset.manifest(), difference)


def keep_few(life: Life) -> None:
    """Keep the newest two batches of each stream from now on."""
    life.change(keep_batches="2")
    for maker in life.simulation.makers.values():
        maker.take_over(life.simulation.loaded.config)


def backfill(batches: int) -> Step:
    """Do what `fleetgen backfill` does, in rounds of three batches; nobody else holds the streams meanwhile."""

    def step(life: Life) -> None:
        life.simulation.stop()
        loaded = life.simulation.loaded
        until = life.simulation.clock.moment + batches * 5 * SECOND
        with (
            patch.object(rounds, "ROUND_BATCHES", 3),
            Backfill(loaded.layout, loaded.config, Span(None, until, None), until) as history,
        ):
            for _ in history.fill(history.begin(), 1, lambda: None):
                pass
        life.simulation.clock.moment = until
        life.simulation.start()

    return step


def clean_all(life: Life) -> None:
    """Do what `fleetgen clean` does."""
    clean(life.simulation.loaded.layout)


LIVES: dict[str, list[Step]] = {
    "batches": passing(20),
    "edit": [*passing(15), edit, *passing(15)],
    "gaps": [*passing(5), pause, *passing(15), resume, *passing(10), be_away, *passing(5)],
    "repair": [*passing(20), lose_batches, repair_batches, *passing(5)],
    "prune": [*passing(15), keep_few, *passing(15)],
    "backfill": [*passing(5), soil, backfill(7), *passing(5)],
    "clean": [*passing(10), pause, clean_all, resume, *passing(10)],
}

EPILOGUE = passing(15)
"""Gone through by the life that does not die alone, so that what the next batch puts right is put right."""


def live(folder: Path, life: str) -> None:
    """Live to the end without dying; leave beside the data what was in staging and trash after the start."""
    started = Life(folder)
    data = started.data
    (folder / "left.json").write_text(
        json.dumps([str(path) for path in (*data.glob(".trash*"), *data.glob(".staging/*"))])
    )
    started.go_on([*LIVES[life], *EPILOGUE])


def die(folder: Path, life: str, number: int) -> None:
    """Live until the N-th step on the disk."""
    folder.mkdir(parents=True)
    die_at_step(folder / "data", number)
    Life(folder).go_on(LIVES[life])


def in_child(work: Callable[[], None]) -> bool:
    """Do it in a process of its own; return whether that was killed. Raises ChildProcessError if it failed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise ChildProcessError(f"status {status}")
    return status == -signal.SIGKILL


def dies_and_lives_on(folder: Path, life: str, number: int) -> bool | None:
    """Return whether a life that dies at the N-th step goes on to its end; None if it did not get to that step."""
    if not in_child(lambda: die(folder, life, number)):
        return None
    try:
        return not in_child(lambda: live(folder, life))
    except ChildProcessError:
        return False


def main() -> None:
    """Die ever later."""
    folder, life, number, stride = Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    outcomes: dict[int, bool] = {}
    while (outcome := dies_and_lives_on(folder / str(number), life, number)) is not None:
        outcomes[number] = outcome
        number += stride
    shutil.rmtree(folder / str(number))
    print(json.dumps({"deaths": len(outcomes), "failed": [each for each, well in outcomes.items() if not well]}))


if __name__ == "__main__":
    main()
