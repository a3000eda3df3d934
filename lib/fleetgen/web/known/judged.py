"""Owns what the set's own pipeline has rejected of one batch, asked of its tables.

The tables are read by a process of its own, `fleetgen query`: the libraries that it needs are large, and the control
process is to stay small.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from fleetgen.domain.records import Stream
from fleetgen.storage.reading import parse_json

_BATCH_ID = re.compile(r"\d{8}T\d{6}Z")
_SECONDS = 30
_one_at_a_time = Lock()


def rejected_lines(
    config_file: Path, stream: Stream, batch_id: str, first: Sequence[int], most: int
) -> dict[int, str] | None:
    """Return the rule by line that rejected it: of all lines in ``first``, then of others, ``most`` together.

    None where there are no tables, or their packages are missing.
    """
    if not _BATCH_ID.fullmatch(batch_id):
        return None
    sql = (
        f"SELECT line, rule FROM quarantine WHERE stream = '{stream}' AND batch_id = '{batch_id}' "  # noqa: S608 - both are checked
        f"ORDER BY NOT list_contains({list(first)}::BIGINT[], line), line LIMIT {most}"
    )
    command = [sys.executable, "-m", "fleetgen", "query", sql, "--format", "json", "--config", str(config_file)]
    try:
        with _one_at_a_time:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    rows = [parse_json(line, Path("query")) for line in done.stdout.splitlines()]
    return {row["line"]: row["rule"] for row in rows}
