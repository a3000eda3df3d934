"""Owns backfill on Apache Spark: what an executor does, how blocks of batches get there, and the session.

Only `fleetgen backfill --engine spark` loads `session` and `executors`, and only they need pyspark.
"""
