"""The archive for executors: a Python that has nothing else of fleetgen can do a task with it."""

import os
import subprocess
import sys
from pathlib import Path

from fleetgen.generation.spark.shipping import pack


def test_the_archive_holds_all_that_a_task_imports(tmp_path: Path) -> None:
    archive = pack(tmp_path / "fleetgen.zip")
    code = "import fleetgen.generation.spark.tasks as tasks; print(tasks.__file__)"
    environment = os.environ | {"PYTHONPATH": str(archive)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(archive))
