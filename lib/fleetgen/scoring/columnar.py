"""Owns reading the named columns of Parquet files and Delta tables, some rows at a time.

The libraries for it are those of the extra `pipeline`; they are loaded when the first such file is met.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fleetgen.errors import SystemLacks, UsageError
from fleetgen.scoring.keys import COLUMNS


def is_delta(folder: Path) -> bool:
    """Whether a folder is a Delta table."""
    return (folder / "_delta_log").is_dir()


def parquet_rows(files: Sequence[Path], folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of Parquet files; names of folders below ``folder`` such as ``stream=events`` are columns too."""
    _require("pyarrow", files[0])
    import pyarrow as pa
    from pyarrow import dataset

    what = files[0] if len(files) == 1 else folder
    try:
        parts = dataset.dataset(
            [str(file) for file in files], format="parquet", partitioning="hive", partition_base_dir=str(folder)
        )
        yield from rows_of(parts)
    except (pa.ArrowException, OSError) as fault:
        raise UsageError(f"{what} is no readable Parquet: {_reason(fault)}. Write it again.") from fault


def delta_rows(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of a Delta table, as it is now."""
    _require("deltalake", folder)
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        yield from rows_of(DeltaTable(str(folder)).to_pyarrow_dataset())
    except (DeltaError, pa.ArrowException, OSError) as fault:
        raise UsageError(f"{folder} is no readable Delta table: {_reason(fault)}. Write it again.") from fault


def rows_of(rows: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of a pyarrow dataset with the columns that tell of a record, or with all if none does."""
    columns = [name for name in COLUMNS if name in rows.schema.names]
    if not columns:
        yield "", dict.fromkeys(rows.schema.names)
        return
    number = 0
    for batch in rows.to_batches(columns=columns):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            number += 1
            yield f"row {number}", dict(zip(columns, values, strict=True))


def _require(package: str, path: Path) -> None:
    if find_spec(package) is None:
        raise SystemLacks(f"To read {path}, {package} is needed: pip install 'fleetgen[pipeline]'")


def _reason(fault: Exception) -> str:
    return str(fault).partition("\n")[0].rstrip(".")
