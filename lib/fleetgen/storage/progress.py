"""Owns how work whose length depends on the data shows that it goes on. What a step leads to is whoever's who is told."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

STEP = 10_000
"""So many small things, such as lines or names, are a step: few enough that one takes well under a second."""


class Progress(Protocol):
    """Is called at each step of long work, and while something is waited for; may raise Interrupted to end it."""

    def __call__(self, text: str | None = None) -> None:
        """Go on; ``text`` says, as a sentence, how far the work has come."""


def unwatched(text: str | None = None) -> None:
    """Tell nobody."""


def names_in(folder: Path, progress: Progress = unwatched) -> Iterator[str]:
    """Yield the names in a folder, in no order; none where there is no folder."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries, start=1):
            if number % STEP == 0:
                progress(f"{number:,} names in {folder} are looked through")
            yield entry.name
