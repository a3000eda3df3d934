"""Owns how the command line was called, so that the commands which messages name can be pasted as they stand.

The layers below write a command as `fleetgen COMMAND`, whoever calls them; here it becomes the one that was typed.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

CALLED_AS = "FLEETGEN_CALLED_AS"
"""The variable in which a launcher, such as `bin/fleetgen`, says under which name it was called."""

_HINT = re.compile(r"`fleetgen ([a-z][^`]*)`")
_CONTROL_HINT = re.compile(r"`supervisorctl ([^`]*)`")
_WITHOUT_CONFIG = ("init", "completion", "help")


def program() -> str:
    """Return how fleetgen is called from where the user stands, as a shell reads it."""
    if called := os.environ.get(CALLED_AS):
        return shlex.quote(called)
    typed = sys.argv[0] if sys.argv else ""
    name = Path(typed).name
    if name == "__main__.py":
        return f"{shlex.quote(sys.orig_argv[0])} -m fleetgen"
    if name != "fleetgen" or shutil.which(name) == typed:
        return "fleetgen"
    return shlex.quote(typed)


def named_config(arguments: Sequence[str]) -> str | None:
    """Return the configuration file that a command line names; None where it is left to the defaults."""
    found = None
    for argument, following in pairwise([*arguments, ""]):
        if argument == "--":
            break
        if argument == "--config":
            found = following or None
        elif argument.startswith("--config="):
            found = argument.removeprefix("--config=")
    return found


def pasteable(text: str) -> str:
    """Return a text whose commands carry the way this one was called: its program and its configuration."""
    text = _CONTROL_HINT.sub(r"`fleetgen ctl \1`", text)
    return _HINT.sub(lambda hint: f"`{command(hint[1])}`", text)


def command(words: str) -> str:
    """Return a command of fleetgen, such as ``ctl stop driver``, as it is called from where the user stands."""
    named = named_config(sys.argv[1:])
    first, _, rest = words.partition(" ")
    config = f"--config {shlex.quote(named)}" if named and first not in _WITHOUT_CONFIG else ""
    parts = (first, config, rest) if first == "ctl" else (words, config)  # what follows ctl is supervisorctl's
    return " ".join(filter(None, (program(), *parts)))
