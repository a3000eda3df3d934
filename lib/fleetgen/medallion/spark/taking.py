"""Owns a pass of few lines: the driver takes their rows over and commits them as the embedded engine does.

A commit by Spark takes about as long for few rows as for many; for a stream that is followed live that is most of a batch's
time. The rows are the same either way, and so is what a commit says of the batches in it.
"""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.commits import DataFile
from fleetgen.medallion.embedded.companies import Companies
from fleetgen.medallion.embedded.database import Database, registered
from fleetgen.medallion.embedded.files import write_few_rows
from fleetgen.medallion.embedded.table_set import TableSet
from fleetgen.medallion.embedded.tables import Table
from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.gold import UNKNOWN, Gold
from fleetgen.medallion.silver import Silver
from fleetgen.medallion.spark.counts import Counts, counts
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED, TABLE

_TAKEN = "taken_rows"
_COUNTS_SQL = f"""
    SELECT {TABLE}, CASE {TABLE} WHEN '{JUDGED}' THEN rule END AS rule, CASE {TABLE} WHEN '{DAMAGED}' THEN raw END AS words,
        sum(CASE {TABLE} WHEN '{JUDGED}' THEN lines WHEN '{DAMAGED}' THEN batch_number ELSE 1 END)::BIGINT AS count
    FROM {_TAKEN} GROUP BY ALL"""


class Taken:
    """The rows of all tables, in this process."""

    def __init__(self, database: Database, tables: TableSet, companies: Companies, rows: pa.Table) -> None:
        """Take over rows in the common form; raises DamagedBatch if they tell of one."""
        self._database, self._tables, self._companies, self._rows = database, tables, companies, rows
        with registered(database.connection, _TAKEN, rows):
            self.counts: Counts = counts(database.run(_COUNTS_SQL).fetchall())

    def write(self, declared: Sequence[Silver | Gold], stream: Stream, last_batch: int) -> None:
        """Commit to each of these tables what it lacks of the batches up to this one."""
        with registered(self._database.connection, _TAKEN, self._rows):
            for each in declared:
                table = self._tables[each.form.name]
                if table.last_batch(stream) < last_batch:
                    self._write(each, table, stream, last_batch)

    def _write(self, declared: Silver | Gold, table: Table, stream: Stream, last_batch: int) -> None:
        form, new = declared.form, _rows_sql(declared.form)
        if declared is UNKNOWN:
            with self._companies.known(self._database, new):
                columns = ", ".join(form.columns)
                unknown = f"SELECT {columns} FROM ({new}) ANTI JOIN known_companies USING (company_id)"
                table.append(self._files(unknown, table), stream, last_batch)
            return
        if not (isinstance(declared, Gold) and declared.kept):
            table.append(self._files(new, table), stream, last_batch)
            return
        days = self._days(new) if form.partition_by else None
        totals = _totals_sql(form, new, table.rows(days))
        table.replace(self._files(totals, table), stream, last_batch, days)

    def _files(self, sql: str, table: Table) -> list[DataFile]:
        return write_few_rows(self._database.run, sql, {}, table.form, table.folder, table.next_name)

    def _days(self, rows: str) -> list[date]:
        return [day for (day,) in self._database.run(f"SELECT DISTINCT day FROM ({rows}) ORDER BY 1").fetchall()]


def _rows_sql(form: TableForm) -> str:
    return f"SELECT {', '.join(form.columns)} FROM {_TAKEN} WHERE {TABLE} = '{form.name}'"


def _totals_sql(form: TableForm, new: str, own: str) -> str:
    """Return the SQL of a kept table's own rows with the new sums added to them."""
    columns = (f"sum({name})::BIGINT AS {name}" if name in form.counts else name for name in form.columns)
    return f"SELECT {', '.join(columns)} FROM ({new} UNION ALL BY NAME {own}) GROUP BY ALL"
