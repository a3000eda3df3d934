"""Owns the commits of the pipeline: one JSON file in a table's log each, which is there whole or not at all.

The form is that of the Delta protocol (reader 1, writer 2). Tables are made, read and kept up with delta-rs; why their
commits are not is in ADR 0028. When to commit what is left to `tables`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleetgen.cadence.clock import system_now
from fleetgen.errors import FleetgenError

_ENGINE = "fleetgen"


class ForeignCommit(FleetgenError):
    """Another program has committed to a table of the pipeline: the table is opened anew."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table."""

    path: str
    """Relative to the table's folder."""
    size_bytes: int
    rows: int = 0
    partition: Mapping[str, str] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    """As the protocol has them, without the number of rows."""


def commit(
    folder: Path,
    version: int,
    added: Iterable[DataFile],
    removed: Iterable[DataFile],
    links: bool,
    application: tuple[str, int] | None = None,
) -> None:
    """Make a version of a table: some files more, some less, and how far an application has come, in one step.

    Without an application the rows are those that were there, in other files. ``links``: whether the disk makes hard
    links. Raises ForeignCommit if there is such a version already.
    """
    now, changes = system_now() // 1000, application is not None
    removals = [
        {"remove": _place(file, changes) | {"deletionTimestamp": now, "extendedFileMetadata": True}} for file in removed
    ]
    additions = [{"add": _place(file, changes) | {"modificationTime": now, "stats": _stats(file)}} for file in added]
    told = [_told(now, changes, overwrites=bool(removals))]
    if application is not None:
        told.append({"txn": {"appId": application[0], "version": application[1]}})
    log = folder / "_delta_log"
    content = log / "_commit.json.tmp"
    content.unlink(missing_ok=True)  # after a kill it may be another name of the last version
    content.write_text("".join(_line(action) for action in (*told, *removals, *additions)))
    _publish(content, log / f"{version:020d}.json", links)


def _publish(content: Path, target: Path, links: bool) -> None:
    """Give a finished file its name: by a link, which never replaces; by a rename where there is but that."""
    if links:
        with suppress(FileExistsError):
            os.link(content, target)
            content.unlink()
            return
    elif not target.exists():
        content.rename(target)
        return
    raise ForeignCommit(f"{target} was written by another program: the table is opened anew.")


def _told(now: int, changes: bool, overwrites: bool) -> dict[str, Any]:
    mode = {"mode": "Overwrite" if overwrites else "Append"}
    what = {"operation": "WRITE", "operationParameters": mode} if changes else {"operation": "OPTIMIZE"}
    return {"commitInfo": {"timestamp": now, **what, "engineInfo": _ENGINE}}


def _place(file: DataFile, changes: bool) -> dict[str, Any]:
    return {
        "path": file.path,
        "partitionValues": dict(file.partition),
        "size": file.size_bytes,
        "dataChange": changes,
    }


def _stats(file: DataFile) -> str:
    return json.dumps({"numRecords": file.rows, **file.statistics}, separators=(",", ":"))


def _line(action: Mapping[str, Any]) -> str:
    return json.dumps(action, separators=(",", ":")) + "\n"
