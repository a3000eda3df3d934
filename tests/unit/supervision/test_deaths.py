"""How supervisord's side explains real ends of real processes, and what the next process finds of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleetgen.domain.records import SECOND
from fleetgen.supervision.crashes import FREE_KILLS, CrashRecord
from fleetgen.supervision.deaths import RECENT_SECONDS, STATUSES, Deaths
from support.control_groups import can_limit_memory, memory_group


def ended(program: str) -> Any:
    """Let a process end as a program says, and return it as supervisord has it then."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", program], os.environ)
    _, STATUSES[pid] = os.waitpid(pid, 0)
    exit_status = os.WEXITSTATUS(STATUSES[pid]) if os.WIFEXITED(STATUSES[pid]) else -1
    return SimpleNamespace(config=SimpleNamespace(name="driver"), pid=pid, exitstatus=exit_status)


def by_signal(number: int) -> Any:
    return ended(f"import os; os.kill(os.getpid(), {number})")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "driver.failures.json"


@pytest.mark.parametrize(
    ("number", "cause", "how"),
    [
        (signal.SIGKILL, "kill", "killed by signal 9 (SIGKILL), not by fleetgen"),
        (signal.SIGTERM, "kill", "killed by signal 15 (SIGTERM)"),
        (signal.SIGSEGV, "crash", "crashed by signal 11 (SIGSEGV)"),
        (signal.SIGABRT, "crash", "crashed by signal 6 (SIGABRT)"),
        (signal.SIGBUS, "crash", "crashed by signal 7 (SIGBUS)"),
        (signal.SIGRTMIN + 3, "kill", "killed by signal 37 (unnamed)"),
    ],
)
def test_a_signal_is_named_with_what_it_means(tmp_path: Path, record: Path, number: int, cause: str, how: str) -> None:
    deaths = Deaths(tmp_path)
    assert deaths.note(by_signal(number)) == how
    told = deaths.told()["driver"]
    assert (told["causes"][cause], sum(told["causes"].values()), told["recent"], told["last"]) == (1, 1, 1, how)
    assert CrashRecord(record).how == how
    assert CrashRecord(record).wait == (SECOND if cause == "crash" else 0)


def test_a_process_that_ended_before_it_could_write_is_counted_for_it(tmp_path: Path, record: Path) -> None:
    deaths = Deaths(tmp_path)
    for count in (1, 2, 3):
        assert deaths.note(ended("raise SystemExit(1)")) == "ended with status 1"
        assert CrashRecord(record).wait == SECOND << (count - 1)
    assert deaths.told()["driver"]["recent"] == 0


def test_a_failure_that_the_process_wrote_down_is_not_counted_twice(tmp_path: Path, record: Path) -> None:
    program = (
        "from pathlib import Path; from fleetgen.supervision.crashes import CrashRecord; "
        f"CrashRecord(Path({str(record)!r})).failed(); raise SystemExit(1)"
    )
    for count in (1, 2):
        Deaths(tmp_path).note(ended(program))
        assert CrashRecord(record).in_a_row == count
        assert CrashRecord(record).how == ""


def test_kills_are_free_until_nobody_can_mean_them(tmp_path: Path, record: Path) -> None:
    deaths = Deaths(tmp_path)
    process = by_signal(signal.SIGKILL)
    for count in range(1, FREE_KILLS + 3):
        STATUSES[process.pid + count] = signal.SIGKILL
        deaths.note(SimpleNamespace(config=process.config, pid=process.pid + count, exitstatus=-1))
        assert CrashRecord(record).wait == (0, SECOND, 2 * SECOND)[max(0, count - FREE_KILLS)]
    CrashRecord(record).worked()
    assert not record.exists()


def test_a_process_that_was_hung_is_told_as_such(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path)
    process = by_signal(signal.SIGKILL)
    deaths.hung.add(process.pid)
    assert deaths.note(process) == "killed by signal 9 (SIGKILL), for its heartbeat stood still"


def test_old_deaths_are_not_recent(tmp_path: Path) -> None:
    now = [1000.0]
    deaths = Deaths(tmp_path, lambda: now[0])
    deaths.note(by_signal(signal.SIGKILL))
    now[0] += RECENT_SECONDS
    deaths.note(by_signal(signal.SIGKILL))
    assert deaths.told()["driver"]["recent"] == 2
    now[0] += 1
    assert deaths.told()["driver"]["recent"] == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"failures": "many"}', "[" * 100_000])
def test_a_damaged_record_is_none(record: Path, content: str) -> None:
    record.write_text(content)
    assert CrashRecord(record).wait == 0


_SUPERVISORD = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from fleetgen.supervision.deaths import STATUSES, Deaths
deaths = Deaths(Path(sys.argv[1]))
pid = os.fork()
if not pid:
    held = [bytearray(os.urandom(1 << 20)) for _ in range(500)]
    os._exit(0)
_, STATUSES[pid] = os.waitpid(pid, 0)
print(deaths.note(SimpleNamespace(config=SimpleNamespace(name="pipeline"), pid=pid, exitstatus=-1)))
"""


@pytest.mark.skipif(not can_limit_memory(), reason="no control group with a limit of memory can be made here")
def test_a_process_that_the_system_killed_for_its_memory_is_known_and_slowed(tmp_path: Path) -> None:
    with memory_group(100 << 20) as group:
        assert group is not None
        joined = group / "cgroup.procs"
        told = subprocess.run(
            [sys.executable, "-c", _SUPERVISORD, str(tmp_path)],
            preexec_fn=lambda: joined.write_text(str(os.getpid())),
            capture_output=True,
            text=True,
            check=True,
        )
    assert told.stdout == "killed by signal 9 (SIGKILL), for memory is short\n"
    assert CrashRecord(tmp_path / "pipeline.failures.json").wait == SECOND
