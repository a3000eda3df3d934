"""`fleetgen doctor` on machines that lack something: real limits, mounts, ports, packages and clocks."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import SECOND
from support.configs import fleetgen, tree
from support.disks import can_mount, lacking, mount_of_its_own, mounted, small_disk
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet, free_ports
from support.simulation import simulated

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems, which only root may")


@dataclass(frozen=True)
class Told:
    """What doctor said in JSON."""

    status: int
    verdict: str
    checks: dict[str, dict[str, str]]
    errors: str

    def verdict_on(self, check: str) -> str:
        return self.checks[check]["verdict"]


def told(answer: subprocess.CompletedProcess[str]) -> Told:
    said = json.loads(answer.stdout)
    return Told(answer.returncode, said["verdict"], {each["check"]: each for each in said["checks"]}, answer.stderr)


def doctor(place: Path, **variables: str) -> Told:
    return told(fleetgen("doctor", "--json", cwd=place, **variables))


def edit(place: Path, before: str, after: str) -> None:
    file = place / "etc" / "generator.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A folder with a configuration whose ports are free."""
    assert fleetgen("init", tmp_path, cwd=tmp_path).returncode == 0
    for number, port in zip((9101, 9102, 9103, 18000), free_ports(4), strict=True):
        edit(tmp_path, f"port = {number}", f"port = {port}")
    return tmp_path


@pytest.fixture
def place(whole: Path) -> Path:
    """The same without control and pipeline, whose packages take seconds to import."""
    edit(
        whole,
        "[control]                      # HTTP API; its own /metrics\nenabled = true",
        "[control]\nenabled = false",
    )
    edit(
        whole,
        "[pipeline]                     # bronze to silver and gold\nenabled = true",
        "[pipeline]\nenabled = false",
    )
    return whole


def assert_fault(said: Told, check: str, says: str, remedy: str) -> None:
    """Only this check is a fault; its line says what and what to do; the status is 1."""
    assert [name for name, each in said.checks.items() if each["verdict"] == "fault"] == [check]
    assert says in said.checks[check]["says"]
    assert remedy in said.checks[check]["remedy"]
    assert (said.status, said.verdict) == (1, "fault")
    assert said.errors.startswith("fleetgen: ")
    assert said.errors.count("\n") == 1


def test_a_good_machine_is_told_so_line_by_line_and_nothing_is_left_behind(whole: Path) -> None:
    before = tree(whole)

    said, shown = doctor(whole), fleetgen("doctor", cwd=whole)

    wanted = (
        "python system clock descriptors processes memory configuration core data locks space inodes socket dataset set"
    )
    assert set(wanted.split()) <= set(said.checks)
    assert {"port company", "port driver", "port pipeline", "port control"} <= set(said.checks)
    assert {"extra control", "extra dashboard", "extra pipeline", "extra yaml"} <= set(said.checks)
    assert [name for name, each in said.checks.items() if each["verdict"] == "fault"] == []
    assert (said.status, said.errors, shown.returncode, shown.stderr) == (0, "", 0, "")
    lines = [line for line in shown.stdout.splitlines() if not line.startswith(" ")]
    assert len(lines) == len(said.checks) + 1
    assert all(line.split()[0] in ("ok", "warning", "fault") for line in lines[:-1])
    assert tree(whole) == before


def test_ports_of_the_running_set_are_its_own(tmp_path: Path) -> None:
    with RunningSet(control=True) as running:
        running.start()
        wait_for(lambda: "RUNNING" in running.ctl("status", "control"), 20, "The control process")

        said = doctor(running.folder)

        assert said.status == 0
        assert "this set listens there" in said.checks["port control"]["says"]
        assert "this set listens there" in said.checks["port company"]["says"]
        assert said.checks["set"]["says"].startswith("runs")

        # When somebody else takes the port of a process that is stopped
        running.ctl("stop", "driver")
        with closing(socket.create_server(("127.0.0.1", running.ports["driver"]))):
            assert_fault(doctor(running.folder), "port driver", "is in use", "metrics.driver_port")


def test_a_port_that_another_program_has_is_named_with_its_key(place: Path) -> None:
    text = (place / "etc" / "generator.toml").read_text()
    port = next(int(line.split()[2]) for line in text.splitlines() if line.startswith("driver_port = "))

    with closing(socket.create_server(("127.0.0.1", port))):
        assert_fault(doctor(place), "port driver", f"{port} on 127.0.0.1 is in use", "metrics.driver_port")


def test_an_address_of_another_machine_is_a_fault(place: Path) -> None:
    edit(place, '[metrics]                      # each process serves /metrics on its own port\naddress = "127.0.0.1"',
         '[metrics]\naddress = "192.0.2.1"')  # fmt: skip

    said = doctor(place)

    assert said.status == 1
    assert "cannot be used" in said.checks["port company"]["says"]


def test_a_socket_path_that_is_too_long_is_a_fault_beside_all_others(place: Path) -> None:
    edit(place, 'run = "../run"', f'run = "../{"r" * 100}"')

    said = doctor(place)

    assert_fault(said, "socket", "at most 99", "paths.run")
    assert said.verdict_on("locks") == "ok"


@pytest.mark.parametrize(("limit", "verdict"), [(100, "fault"), (500, "warning")])
def test_few_descriptors_are_told(place: Path, limit: int, verdict: str) -> None:
    said = told(limited(place, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))))

    assert said.verdict_on("descriptors") == verdict
    assert "ulimit -n" in said.checks["descriptors"]["remedy"]
    assert said.status == (1 if verdict == "fault" else 0)


def limited(place: Path, limit: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    command = [*FLEETGEN, "doctor", "--json"]
    return subprocess.run(command, cwd=place, preexec_fn=limit, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("operation", "says"), [("locks", "cannot lock files"), ("locks that exclude", "gives one lock to two at once")]
)
def test_a_disk_whose_locks_do_not_lock_is_a_fault(place: Path, operation: str, says: str) -> None:
    assert_fault(doctor(place, **lacking(operation, place)), "locks", says, "put paths.data on a local disk")


def test_a_disk_without_hard_links_is_none(place: Path) -> None:
    said = doctor(place, **lacking("hard links", place))

    assert said.status == 0
    assert "committed by renames" in said.checks["links"]["says"]


def test_little_room_is_told_before_it_ends(place: Path) -> None:
    disk = place / "data"
    if not can_mount(disk):
        pytest.skip("mounts file systems")

    with small_disk(disk, 300 << 20):
        assert doctor(place).verdict_on("space") == "warning"
    with small_disk(disk, 100 << 20):
        assert_fault(doctor(place), "space", "nothing is published", "make room")


def test_few_inodes_are_told(place: Path) -> None:
    disk = place / "data"
    if not can_mount(disk):
        pytest.skip("mounts file systems")
    for number, verdict in ((500, "fault"), (50_000, "warning")):
        with small_disk(disk, 2 << 30):
            mounted("-o", f"remount,nr_inodes={number}", disk)
            said = doctor(place)
        assert said.verdict_on("inodes") == verdict
        assert said.checks["inodes"]["remedy"]


@as_root
def test_a_mount_within_the_data_is_a_fault(place: Path) -> None:
    with mount_of_its_own(place / "data" / "raw"):
        assert_fault(doctor(place), "mounts", "is a mount of its own", f"mount all of {place / 'data'}")


def test_data_that_cannot_be_written_is_a_fault(place: Path) -> None:
    edit(place, 'data = "../data"', 'data = "/proc/fleetgen"')

    said = doctor(place)

    assert said.verdict_on("data") == "fault"
    assert "/proc cannot be written" in said.checks["data"]["says"]


def test_a_package_that_cannot_be_imported_is_a_fault_where_it_is_wanted(place: Path) -> None:
    # Given a library that is broken
    broken = place / "broken"
    broken.mkdir()
    (broken / "duckdb.py").write_text("raise ImportError('libstdc++.so.6: version not found')\n")
    path = os.pathsep.join([str(broken), *filter(None, [os.environ.get("PYTHONPATH")])])

    # Then it is nothing where no process wants it, and else a fault with the library's own words
    assert doctor(place, PYTHONPATH=path).verdict_on("extra pipeline") == "ok"
    edit(place, "[pipeline]\nenabled = false", "[pipeline]\nenabled = true")
    assert_fault(doctor(place, PYTHONPATH=path), "extra pipeline", "version not found", "fleetgen[pipeline]")


def test_programs_that_nobody_needs_to_have_are_no_fault(place: Path) -> None:
    (place / "empty").mkdir()

    said = doctor(place, PATH=str(place / "empty"))

    assert said.status == 0
    for name in ("chromium", "prometheus", "java"):
        assert said.checks[f"program {name}"]["says"].startswith("not here; it is only for ")


def test_a_clock_that_was_ahead_is_a_fault_of_the_dataset(tmp_path: Path) -> None:
    with simulated(tmp_path, start=system_now() + 400 * 86_400 * SECOND) as simulation:
        simulation.run_for(30)
        said = told(fleetgen("doctor", "--json", "--config", simulation.file, cwd=tmp_path))

    assert said.verdict_on("dataset") == "fault"
    assert "set the clock right" in said.checks["dataset"]["remedy"]


def clock_that(place: Path, tells: str) -> dict[str, str]:
    """Return the environment of a machine whose clock is another: a C library that says so."""
    source, library = place / "clock.c", place / "clock.so"
    source.write_text(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n"
        "int clock_gettime(clockid_t clock, struct timespec *told) {\n"
        '    int done = ((int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime"))(clock, told);\n'
        "    static int asked;\n"
        f"    if (clock == CLOCK_REALTIME) {{ asked++; {tells} }}\n    return done;\n}}\n"
    )
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs a C compiler, to turn the clock back")
    return {"LD_PRELOAD": str(library)}


def test_a_clock_of_another_century_is_a_fault(place: Path) -> None:
    said = doctor(place, **clock_that(place, "told->tv_sec = 86400;"))

    assert said.verdict_on("clock") == "fault"
    assert "1970-01-02" in said.checks["clock"]["says"]
    assert "NTP" in said.checks["clock"]["remedy"]


def test_a_clock_that_is_set_while_it_is_looked_at_is_told(place: Path) -> None:
    # Given a clock that runs a second ahead more each time it is asked
    said = doctor(place, **clock_that(place, "told->tv_sec += asked;"))

    assert said.verdict_on("clock") == "warning"
    assert "it was set by +" in said.checks["clock"]["says"]


def test_a_token_that_is_none_is_a_fault_with_the_command_that_makes_one(whole: Path) -> None:
    edit(whole, "dashboard = true", 'token_file = "control.token"\ndashboard = true')

    assert_fault(doctor(whole), "token", "cannot be read", "openssl rand")


def test_a_bad_configuration_is_a_fault_and_the_machine_is_looked_at_all_the_same(place: Path) -> None:
    edit(place, "drivers_per_company = 10", "drivers_per_company = 0")

    said = doctor(place)

    assert_fault(said, "configuration", "fleet.drivers_per_company", "config check")
    assert said.verdict_on("descriptors") == "ok"


def test_without_a_configuration_the_machine_is_looked_at(tmp_path: Path) -> None:
    said = doctor(tmp_path)

    assert (said.status, said.verdict_on("configuration")) == (0, "warning")
    assert "fleetgen init" in said.checks["configuration"]["remedy"]
    assert "locks" not in said.checks


def test_remedies_stand_below_their_lines(place: Path) -> None:
    edit(place, 'run = "../run"', f'run = "../{"r" * 100}"')

    shown = fleetgen("doctor", cwd=place).stdout.splitlines()

    at = next(place for place, line in enumerate(shown) if line.startswith("fault"))
    assert shown[at + 1].strip().startswith("→ set paths.run")
    assert shown[-1].endswith("1 fault")
    assert sys.executable in shown[0]
