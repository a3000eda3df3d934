"""What a process may use: the kernel's files as they are in both versions of control groups, and real limits."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetgen.machine import has_ended, memory_bytes, memory_kills, processors
from support.control_groups import can_limit_memory, memory_group
from support.patience import wait_for

MEGABYTE = 1 << 20


class Kernel:
    """The files of /proc/self and of control groups that a process sees."""

    def __init__(self, folder: Path) -> None:
        self.process, self.mount = folder / "self", folder / "cgroup of a container"
        self.process.mkdir()
        self.mount.mkdir()

    def shows(self, paths: str, kind: str, options: str = "rw", root: str = "/") -> None:
        (self.process / "cgroup").write_text(paths)
        mount = str(self.mount).replace(" ", "\\040")
        line = f"42 31 0:28 {root} {mount} rw,relatime shared:9 - {kind} {kind} {options}\n"
        (self.process / "mountinfo").write_text("22 1 0:5 / /proc rw - proc proc rw\n" + line)

    def group(self, path: str, **files: str) -> None:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_the_narrowest_group_above_a_process_counts(kernel: Kernel) -> None:
    kernel.shows("0::/user/shell\n", "cgroup2")
    kernel.group("user", memory__max=f"{640 * MEGABYTE}\n", cpu__max="150000 100000\n")
    kernel.group("user/shell", memory__max="max\n", cpu__max="max 100000\n", memory__events="low 0\noom_kill 3\n")
    assert memory_bytes(kernel.process) == 640 * MEGABYTE
    assert processors(kernel.process) == 1
    assert memory_kills(kernel.process) == 3


def test_the_first_version_of_control_groups_is_read_too(kernel: Kernel) -> None:
    kernel.shows("4:memory:/docker/abc\n0::/\n", "cgroup", "rw,memory", root="/docker/abc")
    kernel.group("", memory__limit_in_bytes=f"{512 * MEGABYTE}\n", memory__oom_control="under_oom 0\noom_kill 2\n")
    assert memory_bytes(kernel.process) == 512 * MEGABYTE
    assert memory_kills(kernel.process) == 2


def test_a_quota_of_processors_in_the_first_version(kernel: Kernel) -> None:
    kernel.shows("1:cpu,cpuacct:/\n", "cgroup", "rw,cpu,cpuacct")
    kernel.group("", cpu__cfs_quota_us="50000\n", cpu__cfs_period_us="100000\n")
    assert processors(kernel.process) == 1
    kernel.group("", cpu__cfs_quota_us="-1\n")
    assert processors(kernel.process) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n", "", "none\n"])
def test_no_limit_leaves_what_the_machine_has(kernel: Kernel, limit: str) -> None:
    kernel.shows("4:memory:/\n0::/\n", "cgroup", "rw,memory")
    kernel.group("", memory__limit_in_bytes=limit)
    assert memory_bytes(kernel.process) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize("path", ["/../../elsewhere", "/not/there"])
def test_a_group_that_a_container_does_not_see_leaves_those_that_it_sees(kernel: Kernel, path: str) -> None:
    kernel.shows(f"0::{path}\n", "cgroup2")
    kernel.group("", memory__max=f"{300 * MEGABYTE}\n")
    assert memory_bytes(kernel.process) == 300 * MEGABYTE


def test_a_system_without_control_groups_has_no_limit_of_theirs(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert processors(tmp_path) >= 1


def seen(expression: str, before: Callable[[], object]) -> int:
    """Return what a process sees for which something was limited before."""
    program = f"from fleetgen.machine import *; print({expression})"
    return int(
        subprocess.run([sys.executable, "-c", program], preexec_fn=before, capture_output=True, check=True).stdout
    )


def test_a_limit_of_the_shell_counts() -> None:
    limit = 900 * MEGABYTE
    assert seen("memory_bytes()", lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) == limit


def test_a_process_that_is_bound_to_one_processor_has_one() -> None:
    assert seen("processors()", lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) == 1


@pytest.mark.skipif(not can_limit_memory(), reason="no control group with a limit of memory can be made here")
def test_the_limit_of_a_real_group_counts() -> None:
    with memory_group(400 * MEGABYTE) as group:
        assert group is not None
        joined = group / "cgroup.procs"
        assert seen("memory_bytes()", lambda: joined.write_text(str(os.getpid()))) == 400 * MEGABYTE


def test_a_process_has_ended_as_soon_as_it_runs_no_more_whether_its_parent_noticed_or_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not has_ended(child.pid)
    child.kill()
    wait_for(lambda: has_ended(child.pid), 5, "The end of a process that nobody waits for")
    child.communicate()
    assert has_ended(child.pid)


def test_a_pid_that_no_process_can_have_has_ended_and_the_first_process_has_not() -> None:
    assert has_ended(2**22 + 1)
    assert not has_ended(1)
