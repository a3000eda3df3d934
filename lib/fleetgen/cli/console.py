"""Owns how tables are printed. Apart from `output`, because a process of the set loads no rich."""

import sys

from rich.console import Console

from fleetgen.telemetry.colours import coloured

_WIDTH = 5000


def wide_console() -> Console:
    """Return a console that cuts nothing: a terminal breaks lines by itself, and a script wants whole ones."""
    return Console(highlight=False, width=_WIDTH, color_system="standard" if coloured(sys.stdout) else None)
