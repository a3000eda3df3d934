"""The job to start from reads our bronze with the schema that we print."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from fleetgen.domain.records import Stream
from fleetgen.domain.schemas import schema_text
from support.configs import REPOSITORY
from support.dirty_data import dirty_dataset
from support.spark import needs_spark, submit_arguments

pytestmark = [needs_spark, pytest.mark.timeout(900)]
"""By itself it takes a quarter of a minute, most of it a JVM's start, and beside many others ten times as long."""

SMALL = {"PYSPARK_SUBMIT_ARGS": f"{submit_arguments('local[2]')} pyspark-shell"}


def test_the_starter_keeps_whole_events_by_day(tmp_path: Path) -> None:
    made = dirty_dataset(tmp_path / "made", 20, missing_field="0.30", malformed_timestamp="0.30")
    (tmp_path / "events.json").write_text(schema_text(Stream.EVENTS, "spark"))
    starter = REPOSITORY / "docs" / "examples" / "spark_starter.py"
    arguments = [made.data / "raw" / "events", tmp_path / "events.json", tmp_path / "silver"]
    command = [sys.executable, str(starter), *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | SMALL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = sum(file.read_bytes().count(b"\n") for file in (made.data / "raw" / "events").glob("*/events*.jsonl"))
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT count(*), count(*) FILTER (event_id IS NULL OR timestamp IS NULL), count(DISTINCT batch_id) "
            f"FROM '{tmp_path}/silver/day=*/*.parquet'"
        ).fetchall()
    kept, nulls, batches = found[0]
    assert 0 < kept < lines
    assert nulls == 0
    assert batches == 20
