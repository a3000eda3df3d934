"""Owns how tables are printed. Apart from `output`, because a process of the set loads no rich."""

from rich.console import Console

_WIDTH = 5000


def wide_console() -> Console:
    """Return a console that cuts nothing: a terminal breaks lines by itself, and a script wants whole ones."""
    return Console(highlight=False, width=_WIDTH)
