"""Owns whether output has colours, for all that fleetgen prints: NO_COLOR, TERM=dumb and FORCE_COLOR are decided here.

Sources: no-color.org, force-color.org. An empty variable is none.
"""

import os
from typing import TextIO


def is_dumb() -> bool:
    """Whether the terminal can move no cursor, so that nothing is drawn twice on it."""
    return os.environ.get("TERM") == "dumb"


def coloured(stream: TextIO) -> bool:
    """Whether what goes to a stream has colours: on a terminal, unless somebody says otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and not is_dumb()
