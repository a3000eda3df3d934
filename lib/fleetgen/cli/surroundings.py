"""Owns making harmless what a process inherits: variables that people set for a Python of their own, closed outputs."""

import os
import sys
import warnings
from typing import TextIO

VARIABLES = ("PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONOPTIMIZE")
"""They would make warnings of libraries fatal, leave a prompt behind, or take the texts of help and errors away."""


def settle() -> None:
    """Take back what the variables have done to this process, and keep them from its children."""
    found = [name for name in VARIABLES if os.environ.pop(name, None)]
    if ("PYTHONOPTIMIZE" in found and sys.flags.optimize > 1) or ("PYTHONINSPECT" in found and sys.flags.inspect):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    if "PYTHONWARNINGS" in found:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)


def _usable(stream: TextIO | None) -> TextIO:
    """Return a stream that takes every character; one that was closed by whoever started us is None."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - open for as long as the process lives
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream
