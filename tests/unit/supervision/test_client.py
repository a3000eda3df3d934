"""Asking a supervisord that is not there, or does not answer as one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from fleetgen.errors import Unreachable
from fleetgen.supervision.client import Supervisor, empty_logs
from support.patience import Watch

_ODD = (
    b"<?xml version='1.0'?><methodResponse><params><param><value><int>7</int></value></param></params></methodResponse>"
)
ANSWERS = {
    "an HTTP 500": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"Hello\r\n\r\n",
    "an answer that ends": b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 900\r\n\r\n<?xml version='1.0'?>",
    "no XML": b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<<<<",
    "no answer to a call": b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 8\r\n\r\n<a></a>\n",
    "a number": b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(_ODD), _ODD),
    "letters that are none": b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 2\r\n\r\n\xff\xfe",
}


@contextmanager
def other(tmp_path: Path, said: bytes) -> Iterator[Path]:
    """A socket on which somebody listens who is no supervisord; one that says nothing hears everything."""
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
                    if connection.recv(4096) and said:
                        connection.sendall(said)
                    elif not said:
                        ended.wait(20)

        ended = threading.Event()
        threading.Thread(target=answer, daemon=True).start()
        yield path
        ended.set()


def test_without_a_socket_or_a_listener_the_set_is_not_running(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(gone))
    for path in (tmp_path / "none", gone, tmp_path):
        supervisor = Supervisor(path)
        assert not supervisor.is_up()
        with pytest.raises(Unreachable, match="The set is not running: start it with `fleetgen up`"):
            supervisor.processes()


@pytest.mark.parametrize("name", ANSWERS)
def test_who_does_not_answer_as_supervisord_is_named(tmp_path: Path, name: str) -> None:
    with other(tmp_path, ANSWERS[name]) as path:
        supervisor = Supervisor(path)
        assert supervisor.is_up()
        for ask in (supervisor.deaths, supervisor.starts, supervisor.processes, supervisor.apply_changes):
            with pytest.raises(Unreachable, match=r"supervisord does not answer.* on " + str(path)):
                ask()


def test_who_says_nothing_is_waited_for_as_long_as_supervisord_may_take(tmp_path: Path) -> None:
    with other(tmp_path, b"") as path:
        watch = Watch()
        with pytest.raises(Unreachable, match=r"does not answer on .* within 0\.5 s: .*kill -CONT"):
            Supervisor(path, answer_seconds=0.5).processes()
        assert watch.within(5)


def test_a_set_that_has_no_time_to_hear_is_up(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as waiting:
        listener.bind(str(path))
        listener.listen(0)
        for _ in range(20):
            each = waiting.enter_context(socket.socket(socket.AF_UNIX))
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(str(path))
        assert Supervisor(path).is_up()
        with pytest.raises(Unreachable, match=r"within 0\.5 s"):
            Supervisor(path, answer_seconds=0.5).pid()


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
