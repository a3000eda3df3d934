"""What a person or a script does with `fleetgen logs`, with a running set and without one."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from fleetgen.cli.logs import ripened
from fleetgen.logbook.lines import LogLine, parse
from support.patience import wait_for
from support.sets import FLEETGEN, running_set

START = datetime(2026, 1, 1, tzinfo=UTC)


def line(process: str, seconds: float, level: str = "info", **extra: object) -> str:
    moment = START + timedelta(seconds=seconds)
    first = {"timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "logger": process}
    return json.dumps({**first, "event": f"{process} at {seconds:g}", **extra})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration and no data."""
    subprocess.run([*FLEETGEN, "init", str(tmp_path)], check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def logs(folder: Path) -> Path:
    """The folder of the logs, with three lines of each process."""
    made = folder / "data" / "manifests" / "logs"
    made.mkdir(parents=True)
    for number, process in enumerate(("company", "driver")):
        lines = [line(process, 2 * second + number, "warning" if second == 1 else "info") for second in range(3)]
        (made / f"{process}.jsonl").write_text("\n".join(lines) + "\n")
    return made


def command(folder: Path, *arguments: str) -> list[str]:
    return [*FLEETGEN, "logs", *arguments, "--config", str(folder / "etc" / "generator.toml")]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *arguments), capture_output=True, text=True, timeout=60)


def seconds_in(output: str) -> list[str]:
    return [json.loads(each)["event"].split()[-1] for each in output.splitlines()]


class Followed:
    """`fleetgen logs -f` into a pipe, and what it has printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            command(folder, "-f", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.reader = Thread(target=self._read)
        self.reader.start()

    def wait_for(self, count: int) -> None:
        wait_for(lambda: len(self.lines) >= count, 20, f"Line {count}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for each in self.process.stdout:
            self.lines.append(each.rstrip("\n"))


@contextmanager
def followed(folder: Path, *arguments: str) -> Iterator[Followed]:
    following = Followed(folder, *arguments)
    try:
        yield following
    finally:
        following.process.kill()
        following.reader.join()
        following.process.communicate()


def on_terminal(folder: Path, *arguments: str) -> str:
    """What the command shows on a terminal."""
    own, its = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(command(folder, *arguments), stdout=its, env=environment, check=True, timeout=60)
    os.close(its)
    shown = os.read(own, 1 << 16).decode()
    os.close(own)
    return shown


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(each + "\n" for each in lines)


def test_a_pipe_gets_the_newest_lines_of_all_processes_unchanged_and_oldest_first(folder: Path, logs: Path) -> None:
    written = {each for path in logs.iterdir() for each in path.read_text().splitlines()}
    printed = call(folder)
    assert seconds_in(printed.stdout) == ["0", "1", "2", "3", "4", "5"]
    assert set(printed.stdout.splitlines()) == written
    assert printed.stderr == ""
    assert seconds_in(call(folder, "-n", "2").stdout) == ["4", "5"]
    assert call(folder, "-n", "0").stdout == ""


def test_more_lines_than_a_page_holds_can_be_asked_for(folder: Path, logs: Path) -> None:
    append(logs / "driver.jsonl", *(line("driver", 10 + second) for second in range(2500)))
    seconds = seconds_in(call(folder, "-n", "2400").stdout)
    assert seconds == [str(10 + second) for second in range(100, 2500)]


def test_processes_and_levels_can_be_chosen(folder: Path, logs: Path) -> None:
    append(logs / "driver.jsonl", line("driver", 9, "error"), line("driver", 10))
    assert seconds_in(call(folder, "company").stdout) == ["0", "2", "4"]
    assert seconds_in(call(folder, "--level", "warning").stdout) == ["2", "3", "9"]
    assert seconds_in(call(folder, "--level", "ERROR", "driver", "company").stdout) == ["9"]


def test_an_unknown_process_is_a_usage_error_that_names_those_that_are_there(folder: Path, logs: Path) -> None:
    refused = call(folder, "drivers")
    assert refused.returncode == 2
    assert "No process is called 'drivers'; there are company, " in refused.stderr
    assert "driver" in refused.stderr


def test_a_terminal_gets_sentences_in_colour_and_json_if_asked(folder: Path, logs: Path) -> None:
    append(logs / "driver.jsonl", line("driver", 9, "error", exception=3), "words of a library")
    shown = on_terminal(folder)
    assert "\033[2m00:00:01\033[0m  \033[35mdriver    \033[0m  driver at 1" in shown
    assert "\033[31mdriver at 9\033[0m" in shown
    assert "words of a library" in shown
    assert [json.loads(each)["level"] for each in on_terminal(folder, "--json").splitlines()][-2:] == ["error", "info"]


def test_every_line_in_a_pipe_is_json(folder: Path, logs: Path) -> None:
    append(logs / "driver.jsonl", "words of a library")
    last = json.loads(call(folder, "driver", "-n", "1").stdout)
    assert (last["event"], last["logger"], last["timestamp"]) == (
        "words of a library",
        "driver",
        "2026-01-01T00:00:05.000000Z",
    )


def test_no_logs_yet_is_said_and_is_no_fault(folder: Path) -> None:
    printed = call(folder)
    assert (printed.returncode, printed.stdout) == (0, "")
    assert "There are no log lines in " in printed.stderr


def test_following_waits_for_the_first_log(folder: Path) -> None:
    logs = folder / "data" / "manifests" / "logs"
    with followed(folder) as following:
        assert following.process.stderr is not None
        assert "There are no log lines in " in following.process.stderr.readline()
        logs.mkdir(parents=True)
        append(logs / "driver.jsonl", line("driver", 1))
        following.wait_for(1)


def test_following_goes_on_through_rotation_emptying_and_new_files(folder: Path, logs: Path) -> None:
    driver = logs / "driver.jsonl"
    with followed(folder, "-n", "1") as following:
        following.wait_for(1)
        append(driver, line("driver", 10))
        driver.rename(logs / "driver.jsonl.1")
        append(driver, line("driver", 11))
        following.wait_for(3)
        driver.unlink()
        append(driver, line("driver", 12))
        following.wait_for(4)
        os.truncate(driver, 0)
        append(driver, line("driver", 13))
        following.wait_for(5)
        append(logs / "control.jsonl", line("control", 14))
        following.wait_for(6)
        assert seconds_in("\n".join(following.lines)) == ["5", "10", "11", "12", "13", "14"]


def test_following_merges_what_is_written_at_the_same_time(folder: Path, logs: Path) -> None:
    with followed(folder, "-n", "1", "--level", "info") as following:
        following.wait_for(1)
        for second in range(10, 40, 2):
            append(logs / "driver.jsonl", line("driver", second + 1))
            append(logs / "company.jsonl", line("company", second))
        following.wait_for(31)
        assert seconds_in("\n".join(following.lines)) == ["5", *map(str, range(10, 40))]


def test_a_line_that_comes_a_look_later_takes_its_place_by_time() -> None:
    def lines(process: str, *seconds: int) -> list[LogLine]:
        made = [line(process, second) for second in seconds]
        return [parse(raw.encode(), process, json.loads(raw)["timestamp"]) for raw in made]

    first, rest = ripened([], lines("driver", 3, 5))
    assert (first, rest) == ([], lines("driver", 3, 5))
    second, rest = ripened(rest, lines("company", 2, 4, 6))
    assert [each.event.split()[-1] for each in second] == ["2", "3", "4", "5"]
    assert ripened(rest, []) == (lines("company", 6), [])


def test_ctrl_c_ends_following_without_a_word(folder: Path, logs: Path) -> None:
    with followed(folder) as following:
        following.wait_for(6)
        following.process.send_signal(signal.SIGINT)
        assert following.process.wait(10) == 130
        assert following.process.stderr is not None
        assert following.process.stderr.read() == ""


def test_following_ends_quietly_when_its_reader_has_gone_though_nothing_comes(folder: Path, logs: Path) -> None:
    following = subprocess.Popen(command(folder, "-f"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert following.stdout is not None
    assert following.stderr is not None
    following.stdout.readline()
    following.stdout.close()
    assert following.wait(10) == 141
    assert following.stderr.read() == ""
    following.stderr.close()


def test_following_a_running_set_shows_what_the_files_get() -> None:
    with running_set(company_interval='"PT1S"', driver_interval='"PT1S"') as running:
        with followed(running.folder, "-n", "0", "driver") as following:
            following.wait_for(3)
        written = (running.data / "manifests" / "logs" / "driver.jsonl").read_text()
        assert "\n".join(following.lines) in written
