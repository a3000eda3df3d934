"""A pipeline in a container of little memory: nothing is killed, and everything gets into the tables."""

import os
import subprocess
from pathlib import Path

import pytest

from support.configs import fleetgen
from support.control_groups import can_limit_memory, memory_group
from support.sets import FLEETGEN

CONTAINER_BYTES = 640 << 20
A_MILLION = {
    "companies_per_batch": "100",
    "drivers_per_company": "1000",
    "event_rate_per_driver": "10.0",
    "enabled": "true",
}


@pytest.mark.skipif(not can_limit_memory(), reason="no control group with a limit of memory can be made here")
def test_a_batch_of_a_million_events_is_carried_in_640_megabytes(tmp_path: Path) -> None:
    assert fleetgen("init", tmp_path, "--preset", "base", cwd=tmp_path).returncode == 0
    configure(tmp_path / "etc" / "generator.toml", A_MILLION)
    assert fleetgen("backfill", "--batches", "1", "--jobs", "1", cwd=tmp_path).returncode == 0
    with memory_group(CONTAINER_BYTES) as group:
        assert group is not None
        joined = group / "cgroup.procs"
        done = subprocess.run(
            [*FLEETGEN, "run", "pipeline", "--once"],
            cwd=tmp_path,
            preexec_fn=lambda: joined.write_text(str(os.getpid())),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    asked = fleetgen("query", "SELECT sum(lines) > 900000 AS many FROM gold.batches", "--format", "csv", cwd=tmp_path)
    assert asked.stdout.split() == ["many", "true"]


def configure(config: Path, values: dict[str, str]) -> None:
    """Replace the lines of these keys."""
    lines = config.read_text().splitlines()
    for place, line in enumerate(lines):
        if (key := line.split("=")[0].strip()) in values:
            lines[place] = f"{key} = {values[key]}"
    config.write_text("\n".join(lines) + "\n")
