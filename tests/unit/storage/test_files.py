"""Files that are replaced whole, and locks that a second process does not get."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleetgen.errors import CannotCreate, HeldByAnother, Interrupted, NotYet
from fleetgen.storage.files import discard_replacements, make_folder, make_private, replace_file
from fleetgen.storage.locks import FileLock
from support.patience import Watch

_HOLDER = """
import sys
from pathlib import Path
from fleetgen.storage.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
lock.sign()
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_file_is_replaced_whole_and_keeps_what_is_asked_of_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    replace_file(path, b"one")
    replace_file(path, b"two", mode=0o100640)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["manifest"]


def test_a_replacement_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    path.mkdir()
    (path / "kept").write_text("kept")
    with pytest.raises(OSError, match="manifest"):
        replace_file(path, b"new")
    assert (path / "kept").read_text() == "kept"
    assert [each.name for each in tmp_path.iterdir()] == ["manifest"]


def test_what_a_kill_left_of_a_replacement_is_discarded(tmp_path: Path) -> None:
    for name in (".manifest.17.new", ".manifest.18.new", ".other.17.new", "manifest"):
        (tmp_path / name).write_text(name)
    discard_replacements(tmp_path, "manifest")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".other.17.new", "manifest"]


def test_a_folder_below_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreate, match=r"Cannot write .*/file: File exists\. A file lies where a folder should be"):
        make_folder(tmp_path / "file" / "folder")


def test_a_folder_for_sockets_is_only_its_owners(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o1777)
    with pytest.raises(CannotCreate, match=r"shared with others.*paths\.run"):
        make_private(folder)


def test_a_lock_is_had_by_one_process_named_to_the_others_and_free_when_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "stream.lock"
    command = [sys.executable, "-c", _HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = FileLock(path)
        with pytest.raises(NotYet, match=f"held by process {holder.pid}"):
            lock.acquire(timeout_seconds=0.1)
        with pytest.raises(Interrupted):
            lock.acquire(interrupted=lambda: True)
        holder.kill()
    with lock.held(timeout_seconds=1):
        assert lock.waited_seconds < 1
        lock.sign()
        assert FileLock(path).holder() == f"process {os.getpid()}"


def test_a_lock_held_for_life_is_refused_at_once_and_is_the_same_when_it_is_taken_again(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert not first.is_held()
    first.hold()
    first.hold()
    assert second.is_held()
    watch = Watch()
    with pytest.raises(HeldByAnother, match=f"held by process {os.getpid()}"):
        second.hold()
    assert watch.within(1)
    first.release()
    second.hold()
    second.release()


def test_looking_whether_a_lock_is_held_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    path, ended = tmp_path / "lock", threading.Event()

    def look() -> None:
        while not ended.is_set():
            FileLock(path).is_held()

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(100):
            lock = FileLock(path)
            lock.hold()
            lock.release()
    finally:
        ended.set()
        for watcher in watchers:
            watcher.join()


def test_a_lock_that_was_let_go_can_be_had_again_and_letting_go_twice_does_no_harm(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a" / "lock"), FileLock(tmp_path / "a" / "lock")
    first.acquire()
    with pytest.raises(NotYet, match="another process"):
        second.acquire(timeout_seconds=0)
    first.release()
    first.release()
    second.acquire(timeout_seconds=0)
    second.release()
