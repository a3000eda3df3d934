"""Owns reading what a pipeline has written about its records: JSON Lines, CSV, and folders of parts.

Parquet and Delta are left to `columnar`. Whatever is wrong with a file is a UsageError that names the file, the fault
and the fix.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.errors import UsageError
from fleetgen.scoring import columnar
from fleetgen.scoring.keys import key_of, names_records
from fleetgen.scoring.named import Named
from fleetgen.storage.reading import parse_json

Row = Mapping[str, Any]
Source = Path | str | Row
"""A file, a folder, or a row by itself."""

_JSON, _CSV, _PARQUET = (".jsonl", ".ndjson", ".json"), (".csv",), (".parquet", ".pq")


def read(sources: Iterable[Source], accepted: bool, default: Stream | None) -> Named:
    """Return what these files, folders and rows name; a row without a stream is of the default one."""
    named = Named(accepted)
    by_hand: list[tuple[str, Row]] = []
    for source in sources:
        if isinstance(source, Mapping):
            by_hand.append((f"row {len(by_hand) + 1}", source))
        else:
            _add_rows(named, str(source), _rows(Path(source)), default)
    _add_rows(named, "what was handed over", by_hand, default)
    return named


def _add_rows(named: Named, source: str, rows: Iterable[tuple[str, Row]], default: Stream | None) -> None:
    keyed, columns = False, None
    for place, row in rows:
        keyed = keyed or names_records(row.keys())
        columns = columns or sorted(row)
        where = f"{source}, {place}," if place else source
        try:
            named.add(key_of(row, default), where)
        except ValueError as fault:
            raise UsageError(f"{where} {fault}.") from fault
    if columns is not None and not keyed:
        raise UsageError(
            f"{source} has no column by which a record is known: it needs stream, batch_id and line, or record_id, or "
            f"company_id or event_id. It has: {', '.join(map(str, columns))}."
        )


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a file or folder, each with its place in it."""
    try:
        if not path.is_dir():
            yield from _file_rows(path)
        elif columnar.is_delta(path):
            yield from columnar.delta_rows(path)
        else:
            yield from _part_rows(path)
    except FileNotFoundError as fault:
        raise UsageError(f"There is no {path}: name the file or folder that the pipeline writes.") from fault
    except OSError as fault:
        raise UsageError(f"{path} cannot be read: {fault.strerror or fault}. Grant access, or name another.") from fault
    except UnicodeDecodeError as fault:
        raise UsageError(f"{path} is no UTF-8 text: write it as UTF-8.") from fault


def _file_rows(path: Path) -> Iterator[tuple[str, Row]]:
    if path.stat().st_size == 0:
        raise UsageError(
            f"{path} is empty, so nothing tells that the pipeline has run. If it rejected nothing, write a CSV or Parquet "
            "file without rows, or name what it accepted with --accepted."
        )
    if path.suffix in _JSON:
        return _json_rows(path)
    if path.suffix in _CSV:
        return _csv_rows(path)
    if path.suffix in _PARQUET:
        return columnar.parquet_rows([path], path.parent)
    raise UsageError(f"{path} is of an unknown kind: its name must end in .jsonl, .csv or .parquet.")


def _part_rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Yield the rows of all parts in a folder; what begins with a dot or an underscore is none, nor is an empty file."""
    for log in folder.rglob("_delta_log"):
        raise UsageError(f"{folder} has a Delta table in it: name its folder, {log.parent}.")
    known = (*_JSON, *_CSV, *_PARQUET)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in known and not _is_hidden(path, folder)]
    parts = [path for path in files if path.stat().st_size]
    if not parts:
        raise UsageError(
            f"{folder} holds neither a Delta table nor any part (.jsonl, .csv, .parquet) that is not empty: name the "
            "folder that the pipeline writes."
        )
    if columns := [path for path in parts if path.suffix in _PARQUET]:
        yield from columnar.parquet_rows(columns, folder)
    for path in parts:
        if path not in columns:
            yield from ((f"{path.name}, {place}", row) for place, row in _file_rows(path))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(name.startswith((".", "_")) for name in path.relative_to(folder).parts)


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line, f"Line {number} of {path}")
            except ValueError as fault:
                raise UsageError(f"{fault}. Write one JSON object a line.") from fault
            if not isinstance(row, dict):
                raise UsageError(f"Line {number} of {path} is no JSON object: write one a line.")
            yield f"line {number}", row


def _csv_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a CSV file whose first line names the columns; an empty cell is null."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader)
            if not names_records(header):
                yield "", dict.fromkeys(header)  # also a file without any row
            for cells in reader:
                if len(cells) != len(header):
                    raise UsageError(
                        f"Line {reader.line_num} of {path} has {len(cells)} cells, but its header has {len(header)}: "
                        "write every cell, and quote those with commas in them."
                    )
                yield f"line {reader.line_num}", dict(zip(header, (cell or None for cell in cells), strict=True))
        except csv.Error as fault:
            raise UsageError(
                f"Line {reader.line_num} of {path} is no CSV: {fault}. Quote cells as RFC 4180 says."
            ) from fault
