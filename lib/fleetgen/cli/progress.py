"""Owns how long work shows how far it has come: a bar with a total on a terminal, nothing in a pipe.

What came of it in the end is a sentence of the command's own.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from fleetgen.cli.interrupting import ended_before_the_sentence
from fleetgen.telemetry.colours import is_dumb

_PATIENCE_SECONDS = 1.0
"""Work that may well be short shows nothing before."""
_LOOK_SECONDS = 0.2


class Tell(Protocol):
    """Says how far work has come; the total may become known, or greater, on the way."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


@contextmanager
def progress(doing: str, total: int | None = None) -> Iterator[Tell]:
    """Show a bar on standard error until the work ends; it goes away then. Nothing to do is no bar."""
    bar = _bar(MofNCompleteColumn())
    task = bar.add_task(doing, total=total, visible=total != 0)

    def tell(done: int, total: int | None = None) -> None:
        bar.update(task, completed=done, total=total, visible=True)

    with ended_before_the_sentence(bar.stop), bar:
        yield tell


@contextmanager
def patience(doing: str, percent: Callable[[], float]) -> Iterator[None]:
    """Show after a second how far something has come that the main thread waits for; ``percent`` is asked by a thread."""
    ended = threading.Event()

    def show() -> None:
        if ended.wait(_PATIENCE_SECONDS):
            return
        with _bar(TaskProgressColumn()) as bar:
            task = bar.add_task(doing, total=None)
            while not ended.wait(_LOOK_SECONDS):
                with suppress(Exception):  # a look at what is just ending
                    found = percent()
                    bar.update(task, completed=max(0.0, found), total=100 if found > 0 else None)

    def end() -> None:
        ended.set()
        if thread.ident is not None:
            thread.join()

    thread = threading.Thread(target=show, name="progress", daemon=True)
    if sys.stderr.isatty():
        thread.start()
    with ended_before_the_sentence(end):
        yield


def _bar(counter: MofNCompleteColumn | TaskProgressColumn) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), counter, TimeRemainingColumn())
    return Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty() or is_dumb(),
        redirect_stdout=sys.stdout.isatty(),
    )
