"""A command on a real pseudo-terminal of its own: what it shows, keys that are pressed, and how it ends."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from support.patience import wait_for

CTRL_C = b"\x03"
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

_ON_THE_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the controlling one, so that a key becomes a signal as it does for people."""


class Terminal:
    """A command of fleetgen on a terminal so many columns wide; with its output elsewhere if that is named."""

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path,
        columns: int = 80,
        output: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ):
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        own = ("FLEETGEN_CONFIG", "NO_COLOR", "COLUMNS", "LINES")
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        environment = {**inherited, "TERM": "xterm", **(variables or {})}
        command = [sys.executable, "-c", _ON_THE_TERMINAL, sys.executable, "-m", "fleetgen", *map(str, arguments)]
        elsewhere = output.open("wb") if output is not None else None
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=slave, stdout=elsewhere or slave, stderr=slave
        )
        os.close(slave)
        if elsewhere is not None:
            elsewhere.close()
        self._raw = b""

    @property
    def raw(self) -> str:
        """Everything that was written to the terminal so far."""
        with suppress(OSError):  # nobody writes any more
            while select.select([self._master], [], [], 0)[0] and (piece := os.read(self._master, 65_536)):
                self._raw += piece
        return self._raw.decode(errors="replace")

    @property
    def shown(self) -> str:
        """The same without what moves the cursor and colours."""
        return _CONTROLS.sub("", self.raw)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until a text is shown."""
        wait_for(lambda: text in self.shown, seconds, f"{text!r}")

    def end(self, seconds: float = 30) -> int:
        """Return the status with which the command ends; all that it writes is read meanwhile."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            _ = self.raw
            time.sleep(0.01)
        status = self.process.wait(0.1)
        _ = self.raw
        return status

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
