"""Owns what there is to see of one published batch: its meta, some of its lines, and what was injected into them."""

from itertools import islice
from pathlib import Path
from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.generation import checking, recording
from fleetgen.storage.bronze import TRUTH_FILE, read_meta
from fleetgen.storage.layout import Layout
from fleetgen.storage.reading import parse_json


def batch_facts(layout: Layout, stream: Stream, batch_id: str, lines: int, issues: int | None) -> dict[str, Any]:
    """Return a batch's ``meta``, its first ``lines`` and its first ``issues`` (None: all).

    Raises UsageError for a batch that is not there, DifferenceFound for one whose files are damaged.
    """
    truth = layout.truth(stream, batch_id) / TRUTH_FILE
    try:
        meta = read_meta(layout, stream, batch_id)
        if meta is None:
            raise checking.missing_batch(layout, stream, batch_id)
        files = recording.data_files(layout.batch(stream, batch_id), stream)
        return {
            "meta": meta,
            "lines": [line for file in files for line in _first_lines(file, lines)][:lines],
            "issues": [_issue(line, truth) for line in _first_lines(truth, issues)],
        }
    except ValueError as fault:
        raise checking.damaged_batch(stream, batch_id) from fault


def _issue(line: str, truth: Path) -> dict[str, Any]:
    issue = parse_json(line, truth)
    if not isinstance(issue, dict) or not isinstance(issue.get("line"), int):
        raise ValueError(f"{truth} has a line that is no issue")
    return issue


def _first_lines(file: Path, count: int | None) -> list[str]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as opened:
        return [line.rstrip("\n") for line in islice(opened, count)]
