"""What runs inside supervisord: listeners that cannot harm it, and a terminal that cannot hold it up."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from supervisor import events
from supervisor.options import ServerOptions

from fleetgen.config.loading import load
from fleetgen.supervision.console import Console
from fleetgen.supervision.plugin import harmless
from fleetgen.supervision.programs import render
from support.configs import SHIPPED, set_folder
from support.patience import Watch


class Pipe:
    """A pipe, and what has come out of it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def fill(self) -> None:
        """Write until nothing more goes in; a write that comes then would block."""
        os.set_blocking(self.writer, False)
        try:
            while os.write(self.writer, b"." * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def read(self) -> str:
        content = b""
        try:
            while piece := os.read(self.reader, 1 << 16):
                content += piece
        except BlockingIOError:
            pass
        return content.decode()

    def lines(self) -> list[str]:
        return self.read().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    each = Pipe()
    yield each
    os.close(each.reader)
    os.close(each.writer)


@pytest.fixture
def processes(tmp_path: Path) -> dict[str, Any]:
    """The processes as supervisord knows them from the file that is rendered."""
    loaded = load(set_folder(tmp_path, SHIPPED.read_text()))
    loaded.run.mkdir(parents=True)
    loaded.layout.logs.mkdir(parents=True)
    conf = tmp_path / "supervisord.conf"
    conf.write_text(render(loaded))
    options = ServerOptions()
    options.realize(["-c", str(conf)])
    configs = [config for group in options.process_group_configs for config in group.process_configs]
    return {config.name: config.make_process() for config in configs}


def line(text: str, logger: str = "company") -> bytes:
    values = {"timestamp": "2026-01-05T12:00:07.250000Z", "level": "info", "logger": logger, "event": text}
    return json.dumps(values).encode() + b"\n"


def said(process: Any, data: bytes) -> events.ProcessLogStdoutEvent:
    return events.ProcessLogStdoutEvent(process, 4711, data)


def shown(text: str, logger: str = "company") -> str:
    return f"12:00:07  {logger:<10}  {text}"


def died(process: Any) -> events.ProcessStateExitedEvent:
    process.pid = 4711
    return events.ProcessStateExitedEvent(process, process.state, expected=False)


def test_a_listener_that_raises_does_not_reach_supervisords_loop() -> None:
    called: list[str] = []

    def bad(event: Any) -> None:
        called.append("bad")
        raise RuntimeError("a fault in a listener")

    def good(event: Any) -> None:
        called.append("good")

    listeners = [harmless(bad), harmless(good)]
    for listener in listeners:
        events.subscribe(events.Tick5Event, listener)
    try:
        events.notify(events.Tick5Event(0, None))
    finally:
        for listener in listeners:
            events.unsubscribe(events.Tick5Event, listener)
    assert called == ["bad", "good"]


def test_each_log_line_is_shown_as_a_sentence(pipe: Pipe, processes: dict[str, Any]) -> None:
    console = Console(pipe.writer, colour=False)
    console.said(said(processes["company"], line("one") + line("two")))
    assert pipe.lines() == [shown("one"), shown("two")]


def test_a_line_that_comes_in_pieces_is_shown_once_it_is_whole(pipe: Pipe, processes: dict[str, Any]) -> None:
    console = Console(pipe.writer, colour=False)
    content = line("one") + line("zwei: 10 companies — größer") + line("three")
    for start in range(0, len(content), 7):
        console.said(said(processes["company"], content[start : start + 7]))
    assert pipe.lines() == [shown("one"), shown("zwei: 10 companies — größer"), shown("three")]


def test_pieces_of_two_processes_are_not_mixed(pipe: Pipe, processes: dict[str, Any]) -> None:
    console = Console(pipe.writer, colour=False)
    one, other = line("one"), line("other", "driver")
    for first, second in zip((one[:20], one[20:]), (other[:33], other[33:]), strict=True):
        console.said(said(processes["company"], first))
        console.said(said(processes["driver"], second))
    assert pipe.lines() == [shown("one"), shown("other", "driver")]


@pytest.mark.parametrize(
    "strange",
    [b"Segmentation fault\n", b"\n", b"[1, 2]\n", b"7\n", b"\xff\xfe\n", b'{"event": \n', b'{"exception": "text"}\n'],
)
def test_a_line_that_is_no_log_line_costs_none_of_the_lines_around_it(
    pipe: Pipe, processes: dict[str, Any], strange: bytes
) -> None:
    console = Console(pipe.writer, colour=False)
    listener = harmless(console.said)
    listener(said(processes["company"], line("before") + strange + line("after")))
    listener(said(processes["company"], line("later")))
    told = pipe.lines()
    assert [text for text in told if "company " in text and "  " in text][-1] == shown("later")
    assert shown("before") in told
    assert shown("after") in told


def test_a_line_torn_by_the_death_of_its_process_costs_none_of_its_successors(
    pipe: Pipe, processes: dict[str, Any]
) -> None:
    console = Console(pipe.writer, colour=False)
    listener = harmless(console.said)
    listener(said(processes["company"], line("one") + line("torn")[:30]))
    console.exited(died(processes["company"]), "killed")
    listener(said(processes["company"], line("Starting company generator") + line("two")))
    told = pipe.lines()
    assert told[0] == shown("one")
    assert told[-2:] == [shown("Starting company generator"), shown("two")]


def test_a_death_is_told_with_the_process_and_what_comes_next(pipe: Pipe, processes: dict[str, Any]) -> None:
    Console(pipe.writer, colour=False).exited(died(processes["driver"]), "killed by signal 9 (SIGKILL)")
    (told,) = pipe.lines()
    assert "driver died (process 4711): killed by signal 9 (SIGKILL); it is started again" in told


def test_a_terminal_that_takes_no_more_loses_lines_and_holds_nobody_up(pipe: Pipe, processes: dict[str, Any]) -> None:
    console = Console(pipe.writer, colour=False)
    pipe.fill()
    watch = Watch()
    for number in range(1000):
        console.said(said(processes["company"], line(f"lost {number}")))
    assert watch.within(5)
    assert "lost" not in pipe.read()
    console.said(said(processes["company"], line("seen again")))
    assert pipe.lines() == [shown("seen again")]


def test_a_terminal_that_is_gone_harms_nobody(processes: dict[str, Any]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    listener = harmless(Console(writer, colour=False).said)
    listener(said(processes["company"], line("one") + line("two")))
    os.close(writer)
    listener(said(processes["company"], line("three")))


def test_a_line_without_an_end_does_not_fill_the_memory(pipe: Pipe, processes: dict[str, Any]) -> None:
    console = Console(pipe.writer, colour=False)
    listener = harmless(console.said)
    for _ in range(40):
        listener(said(processes["company"], b"x" * (1 << 18)))
    assert sum(map(len, console._unfinished.values())) <= 1 << 20
    listener(said(processes["company"], b"\n" + line("after")))
    assert pipe.lines()[-1] == shown("after")


def test_a_very_long_line_is_shown_cut(pipe: Pipe, processes: dict[str, Any]) -> None:
    console = Console(pipe.writer, colour=False)
    console.said(said(processes["company"], line("ü" * 50_000) + line("after")))
    told = os.read(pipe.reader, 1 << 16).decode(errors="replace").splitlines()
    assert told[0].startswith(shown("üüü"))
    assert told[1:] == [shown("after")]
