"""Owns SQL that is run again and again, read once."""

from functools import cache

import duckdb


@cache
def parsed(sql: str) -> duckdb.Statement:
    """Return a statement as DuckDB takes it without reading it anew, which for a long one takes as long as some lines do."""
    with duckdb.connect() as connection:
        return connection.extract_statements(sql)[0]
