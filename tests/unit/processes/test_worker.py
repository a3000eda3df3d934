"""The life that all processes live: real processes with a work of their own, and what they leave in log and run folder."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetgen.supervision.crashes import CrashRecord
from support.configs import SHIPPED, set_folder
from support.patience import wait_for

_PROGRAM = """
import errno, os, sys, time
from pathlib import Path
from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND
from fleetgen.errors import HeldByAnother, NotYet
from fleetgen.processes.worker import Work, Worker

class Given(Work):
    turns = 0

    begun = 0

    def begin(self):
        self.begun += 1
        exec(sys.argv[3], globals(), {"begun": self.begun})
        worker.log.info("begins")

    def turn(self, now):
        self.turns += 1
        exec(sys.argv[2], globals(), {"turns": self.turns, "now": now})
        return now + SECOND // 20

    def failed(self, fault):
        worker.log.info(f"has let go after {fault!r}")

    def end(self):
        worker.log.info("ends")

worker = Worker("driver", load(Path(sys.argv[1])))
with worker.telling():
    worker.live(Given())
"""


class Process:
    """A process whose turn is a line of Python."""

    def __init__(self, folder: Path, turn: str, begin: str = "pass") -> None:
        self.file = set_folder(folder, SHIPPED.read_text())
        self.record = folder / "run" / "driver.failures.json"
        self.heartbeat = folder / "run" / "driver.heartbeat"
        self._output = folder / "output"
        with self._output.open("ab") as output:
            command = [sys.executable, "-c", _PROGRAM, str(self.file), turn, begin]
            self.popen = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._output.read_text().splitlines() if line.endswith("}")]

    def events(self) -> list[str]:
        return [line["event"] for line in self.log()]

    def says(self, text: str) -> None:
        wait_for(lambda: any(text in event for event in self.events()), 15, text)

    def ends(self) -> int:
        return self.popen.wait(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_lives_until_it_is_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    process = Process(tmp_path, "worker.log.info('turns') if turns == 3 else None")
    process.says("turns")
    process.popen.send_signal(number)
    assert process.ends() == 0
    assert process.events() == ["begins", "turns", "ends"]
    pid, beats = process.heartbeat.read_text().split()
    assert int(pid) == process.popen.pid
    assert int(beats) >= 3


def test_a_fault_is_told_with_its_remedy_and_tried_again_ever_more_slowly(tmp_path: Path) -> None:
    turn = (
        "if turns < 3: raise OSError(errno.ENOSPC, 'No space left on device')\nif turns == 3: worker.log.info('works')"
    )
    process = Process(tmp_path, turn)
    process.says("works")
    process.popen.terminate()
    assert process.ends() == 0
    errors = [line for line in process.log() if line["level"] == "error"]
    assert [line["event"] for line in errors] == [
        f"Driver could not go on; it tries again in {wait} s: [Errno 28] No space left on device" for wait in (1, 2)
    ]
    assert {line["remedy"] for line in errors} == {"Make room, then try again."}
    assert sum("has let go" in event for event in process.events()) == 2


def test_a_surprise_is_told_with_its_traceback_and_tried_again(tmp_path: Path) -> None:
    process = Process(tmp_path, "if turns == 1: raise KeyError('surprise')\nworker.log.info('works')")
    process.says("works")
    process.popen.terminate()
    assert process.ends() == 0
    (error,) = [line for line in process.log() if line["level"] == "error"]
    assert error["event"] == "Driver could not go on; it tries again in 1 s"
    assert error["exception"][-1]["exc_type"] == "KeyError"


@pytest.mark.parametrize("fault", ["OSError(errno.ENOSYS, 'no such call')", "OSError(errno.EOPNOTSUPP, 'not here')"])
def test_a_fault_that_no_waiting_mends_ends_the_process(tmp_path: Path, fault: str) -> None:
    process = Process(tmp_path, f"raise {fault}")
    assert process.ends() == 1  # 71, where the command line makes a status of it
    assert process.events()[-1].startswith("The driver cannot run: The disk cannot do what is needed")
    assert not process.record.exists()


def test_what_another_process_holds_for_a_while_is_waited_for_at_the_start(tmp_path: Path) -> None:
    begin = "if begun < 3: raise NotYet('The manifest stayed locked.')"
    process = Process(tmp_path, "worker.log.info('works') if turns == 1 else None", begin)
    process.says("works")
    process.popen.terminate()
    assert process.ends() == 0
    told = [line for line in process.log() if line.get("kind") == "waiting"]
    assert [line["event"] for line in told] == ["The driver waits before it starts: The manifest stayed locked."] * 2
    assert {line["level"] for line in told} == {"warning"}
    assert not process.record.exists()


def test_a_stop_ends_the_wait_for_another_process_at_the_start(tmp_path: Path) -> None:
    process = Process(tmp_path, "pass", "raise NotYet('The manifest stayed locked.')")
    process.says("waits before it starts")
    process.popen.terminate()
    assert process.ends() == 0
    assert "ends" not in process.events()


def test_what_another_process_holds_for_good_ends_the_process(tmp_path: Path) -> None:
    process = Process(tmp_path, "pass", "raise HeldByAnother('Somebody else makes them.')")
    assert process.ends() == 1  # 75, where the command line makes a status of it
    assert process.events()[-1] == "The driver cannot run: Somebody else makes them."


def test_long_work_beats_says_how_far_it_is_and_ends_when_a_stop_is_asked_for(tmp_path: Path) -> None:
    turn = """
for number in range(10_000):
    worker.progress(f"step {number // 1000} thousand")
    time.sleep(0.005)
"""
    process = Process(tmp_path, turn)
    process.says("Driver goes on: step")
    before = int(process.heartbeat.read_text().split()[1])
    wait_for(lambda: int(process.heartbeat.read_text().split()[1]) > before + 10, 10, "The heartbeat in long work")
    process.popen.terminate()
    assert process.ends() == 0
    assert process.events()[-1] == "ends"
    assert len([line for line in process.log() if line.get("kind") == "progress"]) <= 2


def test_a_failure_at_the_start_is_counted_and_told_by_the_next_process(tmp_path: Path) -> None:
    broken = Process(tmp_path, "pass")
    broken.says("begins")
    broken.popen.kill()
    broken.ends()
    broken.heartbeat.unlink(missing_ok=True)
    broken.heartbeat.mkdir()  # now no process can beat
    failed = Process(tmp_path, "pass")
    assert failed.ends() == 1
    assert failed.events()[-1] == "The driver has failed"
    assert CrashRecord(failed.record).in_a_row == 1
    failed.heartbeat.rmdir()
    later = Process(tmp_path, "worker.worked(); worker.log.info('works')")
    later.says("works")
    assert "The driver failed before; it waits 1 s" in later.events()
    assert not later.record.exists()
    later.popen.terminate()
    assert later.ends() == 0
