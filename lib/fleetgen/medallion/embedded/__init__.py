"""The embedded engine: DuckDB judges and counts, delta-rs keeps the tables."""
