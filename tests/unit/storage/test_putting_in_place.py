"""A folder that takes another one's place: a reader sees the old one until it sees the new one."""

import threading
from pathlib import Path

import pytest

from fleetgen.storage import files
from fleetgen.storage.files import put_in_place


def folder(path: Path, content: str) -> Path:
    path.mkdir(parents=True)
    (path / "a").write_text(content)
    return path


def test_a_reader_finds_a_folder_whatever_takes_its_place(tmp_path: Path) -> None:
    target, missing, stop = folder(tmp_path / "there" / "batch", "0"), 0, threading.Event()
    found: set[str] = set()

    def read() -> None:
        nonlocal missing
        while not stop.is_set():
            try:
                found.add((target / "a").read_text())
            except FileNotFoundError:
                missing += 1

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 300):
        put_in_place(folder(tmp_path / f"new{number}", str(number)), target)
    stop.set()
    reader.join()
    assert (missing, (target / "a").read_text()) == (0, "299")
    assert len(found) > 1


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("before", ["nothing", "a folder", "a file"])
def test_something_new_is_put_where_anything_or_nothing_was(
    tmp_path: Path, before: str, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanges:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    target = tmp_path / "there" / "batch"
    if before == "a folder":
        folder(target, "old")
    elif before == "a file":
        target.parent.mkdir()
        target.write_text("old")
    put_in_place(folder(tmp_path / "new", "new"), target)
    assert (target / "a").read_text() == "new"


def test_what_a_killed_attempt_moved_aside_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    folder(tmp_path / "new.old", "of the killed one")
    put_in_place(folder(tmp_path / "new", "new"), folder(tmp_path / "batch", "old"))
    assert (tmp_path / "batch" / "a").read_text() == "new"
    assert (tmp_path / "new.old" / "a").read_text() == "old"
