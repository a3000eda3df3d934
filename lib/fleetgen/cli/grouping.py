"""Owns in which groups help lists the commands, and in which order."""

from collections.abc import Iterable, Iterator

GROUPS = {
    "Run": ("up", "down", "reload", "pause", "resume", "clean", "ctl", "run"),
    "Look": ("status", "doctor", "logs", "metrics", "tables", "query", "inspect", "verify", "score"),
    "Data": ("backfill", "generate", "replay", "schema"),
    "Configuration": ("init", "mode", "config", "export", "completion", "help"),
}
_REST = "More"


def grouped(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each group's title and those of its commands that there are; in the end what is in none."""
    left = list(names)
    for title, members in GROUPS.items():
        if there := [name for name in members if name in left]:
            yield title, there
            left = [name for name in left if name not in there]
    if left:
        yield _REST, left
