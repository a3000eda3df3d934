"""The job to start from reads our bronze with the schema that we print."""

import subprocess
import sys
from pathlib import Path

import duckdb

from fleetgen.domain.records import Stream
from fleetgen.domain.schemas import schema_text
from support.configs import REPOSITORY
from support.dirty_data import dirty_dataset
from support.spark import needs_spark

pytestmark = needs_spark


def test_the_starter_keeps_whole_events_by_day(tmp_path: Path) -> None:
    made = dirty_dataset(tmp_path / "made", 20, missing_field="0.30", malformed_timestamp="0.30")
    (tmp_path / "events.json").write_text(schema_text(Stream.EVENTS, "spark"))
    starter = REPOSITORY / "docs" / "examples" / "spark_starter.py"
    arguments = [made.data / "raw" / "events", tmp_path / "events.json", tmp_path / "silver"]
    done = subprocess.run(
        [sys.executable, str(starter), *map(str, arguments)], capture_output=True, text=True, timeout=250, check=False
    )
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
