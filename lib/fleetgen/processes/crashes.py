"""Owns slowing down a crash loop: a process that failed by itself before it had published waits before it tries again.

supervisord restarts at once and for ever. A kill leaves no trace here, so kills never cost an interval.
"""

import json
from contextlib import suppress
from pathlib import Path

from fleetgen.domain.records import SECOND
from fleetgen.storage.files import replace_file
from fleetgen.storage.reading import read_json

LONGEST_WAIT = 60 * SECOND


class CrashRecord:
    """Counts the failures in a row of one process, in a file of its own in the run folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = self._read()

    @property
    def wait(self) -> int:
        """Microseconds to wait before working, after this many failures in a row."""
        return min(SECOND << min(self._count - 1, 10), LONGEST_WAIT) if self._count else 0

    def failed(self) -> bool:
        """Note that the process ends by a failure of its own; return whether that could be written down."""
        try:
            replace_file(self._path, json.dumps({"failures": self._count + 1}).encode(), durable=False)
        except OSError:
            return False
        return True

    def worked(self) -> None:
        """Note that the process has done its work."""
        if self._count:
            self._count = 0
            self._path.unlink(missing_ok=True)

    def _read(self) -> int:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return int(read_json(self._path)["failures"])
        return 0
