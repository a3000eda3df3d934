"""What people do by commands is told in a file of its own, which does not grow for ever and loses no line."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleetgen.supervision import deeds


def test_a_full_file_is_kept_once_and_no_line_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeds, "_FULL_BYTES", 12_000)
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: deeds.tell(tmp_path, f"number {number}", "deed"), range(150)))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["command.jsonl", "command.jsonl.1"]
    lines = [json.loads(line)["event"] for file in files for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"number {number}" for number in range(150))


def test_where_no_log_folder_is_nothing_is_told(tmp_path: Path) -> None:
    deeds.tell(tmp_path / "logs", "something", "deed")
    assert list(tmp_path.iterdir()) == []
