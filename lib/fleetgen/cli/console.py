"""Owns how tables are printed. Apart from `output`, because a process of the set loads no rich."""

import sys
from typing import Literal

from rich.console import Console

from fleetgen.telemetry.colours import coloured

_WIDTH, _HEIGHT = 5000, 25
"""Of both: rich takes a terminal with TERM=dumb for 80 columns wide, whatever its width is said to be, unless both are said."""


def wide_console() -> Console:
    """Return a console that cuts nothing: a terminal breaks lines by itself, and a script wants whole ones."""
    system: Literal["standard"] | None = "standard" if coloured(sys.stdout) else None
    return Console(highlight=False, width=_WIDTH, height=_HEIGHT, color_system=system)
