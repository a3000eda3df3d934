"""What the set needs of the system: where there is no temporary folder, the run folder is one."""

import os
from pathlib import Path

import pytest

from fleetgen.supervision.limits import ensure_temporary_folder


def test_without_a_temporary_folder_the_run_folder_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr("tempfile.gettempdir", none)
    ensure_temporary_folder(tmp_path)
    assert os.environ["TMPDIR"] == str(tmp_path)
