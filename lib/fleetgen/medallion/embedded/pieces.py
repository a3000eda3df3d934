"""Owns judging a batch that is too large for the memory: in pieces, each of which goes into files of the silver tables.

No commit names these files before all are written, so a batch is in a table whole or not at all. What is known of the
whole batch while a piece is judged is what duplicates ask for: the text of the lines that stand in it several times.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.commits import DataFile
from fleetgen.medallion.embedded.database import registered
from fleetgen.medallion.embedded.files import relation, write_rows
from fleetgen.medallion.rules import KEPT_CHARACTERS, identity, judgement, record_columns, repeated_records
from fleetgen.medallion.silver import QUARANTINE, RECORDS, Silver, silver_of

if TYPE_CHECKING:
    import pyarrow as pa

Reader = Callable[[], Iterator["pa.Table"]]
"""Reads the lines of a batch, piece by piece, from the first one on whenever it is called."""


@contextmanager
def judged_in_pieces(
    connection: duckdb.DuckDBPyConnection, stream: Stream, read: Reader, folders: Mapping[str, Path], name: str
) -> Iterator[dict[str, list[DataFile]]]:
    """Judge the lines of one batch; yield the files of each silver table, and leave a view `judged` of them for a while.

    ``folders`` says where the files of a table go, and ``name`` how theirs begin. A table is left out if its rows are not
    those of the files alone; then `judged` has them. Files of such a table are removed in the end.
    """
    files = _write_pieces(connection, stream, read, folders, name)
    paths = {table: [str(folders[table] / file.path) for file in found] for table, found in files.items()}
    connection.execute(f"CREATE TEMP VIEW judged AS {_rows_of(stream, paths)}")
    overruled = _overrule(connection, stream, read, _rows_of(stream, paths))
    try:
        yield {} if overruled else files
    finally:
        connection.execute("DROP VIEW judged")
        for path in [path for found in paths.values() for path in found] if overruled else []:
            Path(path).unlink()


def _write_pieces(
    connection: duckdb.DuckDBPyConnection, stream: Stream, read: Reader, folders: Mapping[str, Path], name: str
) -> dict[str, list[DataFile]]:
    _keep_hashes(connection, _repeated(_hashes_of_lines(connection, read)))
    connection.execute("CREATE OR REPLACE TEMP TABLE originals (hash UBIGINT, raw VARCHAR, line BIGINT)")
    files: dict[str, list[DataFile]] = {silver.form.name: [] for silver in silver_of(stream)}
    for number, lines in enumerate(read()):
        with registered(connection, "lines", lines):
            for step in (_CANDIDATES, _NEW_ORIGINALS, _REPEATED_LINES):
                connection.execute(step)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE judged AS {judgement(stream, 'lines')}")
        for silver in silver_of(stream):
            files[silver.form.name] += _write_piece(connection, silver, folders, f"{name}-{number:06d}")
    connection.execute("DROP TABLE judged; DROP TABLE originals; DROP TABLE candidates; DROP TABLE repeated_lines")
    return files


_CANDIDATES = """
    CREATE OR REPLACE TEMP TABLE candidates AS
    SELECT batch_number, line, hash(raw) AS hash, raw FROM lines WHERE hash(raw) IN (FROM repeated_hashes)"""
_NEW_ORIGINALS = """
    INSERT INTO originals
    SELECT hash, raw, min(line) FROM candidates ANTI JOIN originals USING (hash, raw) GROUP BY hash, raw"""
_REPEATED_LINES = """
    CREATE OR REPLACE TEMP TABLE repeated_lines AS
    SELECT batch_number, candidates.line FROM candidates JOIN originals USING (hash, raw)
    WHERE candidates.line > originals.line"""


def _write_piece(
    connection: duckdb.DuckDBPyConnection, silver: Silver, folders: Mapping[str, Path], name: str
) -> list[DataFile]:
    return write_rows(connection.execute, silver.sql, {"after": -1}, silver.form, folders[silver.form.name], name)


def _rows_of(stream: Stream, paths: Mapping[str, list[str]]) -> str:
    """Return the SQL of judged lines that stand in files of silver tables."""
    records, quarantine = (relation(each.form, paths[each.form.name]) for each in (RECORDS[stream], QUARANTINE))
    return f"""
        SELECT * EXCLUDE (batch_id), NULL::VARCHAR AS rule, NULL::VARCHAR AS field, NULL::VARCHAR AS raw,
            NULL::BIGINT AS size_bytes FROM ({records})
        UNION ALL BY NAME SELECT * EXCLUDE (stream, batch_id) FROM ({quarantine})"""


def _hashes_of_lines(connection: duckdb.DuckDBPyConnection, read: Reader) -> NDArray[np.uint64]:
    hashes = bytearray()
    for lines in read():
        with registered(connection, "lines", lines):
            hashes += connection.execute("SELECT hash(raw) AS hash FROM lines").fetchnumpy()["hash"].tobytes()
    return np.frombuffer(hashes, np.uint64)


def _hashes_of_ids(connection: duckdb.DuckDBPyConnection, stream: Stream) -> NDArray[np.uint64]:
    hashes = bytearray()
    found = connection.sql(f"SELECT hash({identity(stream)}) AS hash FROM judged WHERE rule IS NULL")
    for batch in found.to_arrow_reader(1 << 17):
        hashes += batch["hash"].to_numpy().tobytes()
    return np.frombuffer(hashes, np.uint64)


def _repeated(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the values that stand in an array several times; it is sorted where it is."""
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _keep_hashes(connection: duckdb.DuckDBPyConnection, hashes: NDArray[np.uint64]) -> None:
    import pyarrow as pa

    with registered(connection, "hashes", pa.table({"hash": hashes})):
        connection.execute("CREATE OR REPLACE TEMP TABLE repeated_hashes AS FROM hashes")


def _overrule(connection: duckdb.DuckDBPyConnection, stream: Stream, read: Reader, found: str) -> bool:
    """Reject in `judged` what was accepted with an id that an earlier line has; return whether there is any.

    fleetgen's own duplicates are equal lines, which are rejected before.
    """
    repeated = _repeated(_hashes_of_ids(connection, stream))
    if not len(repeated):
        return False
    _keep_hashes(connection, repeated)
    among = f"(FROM judged WHERE hash({identity(stream)}) IN (FROM repeated_hashes))"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE rejected AS {repeated_records(stream, among)}")
    connection.execute(_NONE_OVERRULED)
    for lines in read():
        with registered(connection, "lines", lines):
            connection.execute(_OVERRULED)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW judged AS {_with_overruled(stream, found)}")
    return True


_NONE_OVERRULED = """
    CREATE OR REPLACE TEMP TABLE overruled
    (batch_number BIGINT, line BIGINT, rule VARCHAR, raw VARCHAR, size_bytes BIGINT)"""
_OVERRULED = f"""
    INSERT INTO overruled SELECT batch_number, line, rule, left(lines.raw, {KEPT_CHARACTERS}), lines.size_bytes
    FROM lines JOIN rejected USING (batch_number, line)"""


def _with_overruled(stream: Stream, found: str) -> str:
    kept = ", ".join(
        f"CASE WHEN overruled.rule IS NULL THEN found.{name} END AS {name}" for name in record_columns(stream)
    )
    told = ", ".join(f"coalesce(overruled.{name}, found.{name}) AS {name}" for name in ("rule", "raw", "size_bytes"))
    return f"""
        SELECT batch_number, line, field, {told}, {kept}
        FROM ({found}) AS found LEFT JOIN overruled USING (batch_number, line)"""
