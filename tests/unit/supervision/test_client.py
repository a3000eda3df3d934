"""Asking a supervisord that is not there, or does not answer as one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fleetgen.errors import Unreachable
from fleetgen.supervision.client import Supervisor, empty_logs


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """A socket on which somebody listens who is no supervisord."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(10)

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):  # whoever only looks whether somebody listens says nothing
                    if connection.recv(4096):
                        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield path


def test_without_a_socket_or_a_listener_the_set_is_not_running(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(gone))
    for path in (tmp_path / "none", gone, tmp_path):
        supervisor = Supervisor(path)
        assert not supervisor.is_up()
        with pytest.raises(Unreachable, match="The set is not running: start it with `fleetgen up`"):
            supervisor.processes()


def test_who_does_not_answer_as_supervisord_is_named(other: Path) -> None:
    supervisor = Supervisor(other)
    assert supervisor.is_up()
    with pytest.raises(Unreachable, match=f"supervisord does not answer on {other}"):
        supervisor.deaths()


def test_the_logs_of_a_set_that_is_stopped_are_deleted_and_named(tmp_path: Path) -> None:
    for name, text in (
        ("driver.jsonl", "{}\n"),
        ("driver.jsonl.1", "{}\n"),
        ("company.jsonl", ""),
        ("notes.txt", "kept"),
    ):
        (tmp_path / name).write_text(text)
    assert empty_logs(tmp_path, Supervisor(tmp_path / "none")) == ["driver.jsonl", "driver.jsonl.1"]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
