"""The units under a systemd that really runs: readiness, restarts, the watchdog, and the stop; `make test-deb` boots one.

It is the systemd of a Debian of its own, in which the package of fleetgen is installed.
"""

import os
from collections.abc import Iterator

import pytest

from support.debian import BUILDERS, IS_LONG, built, install, lacking
from support.foreign_roots import ForeignRoot, booted_root
from support.patience import wait_for

MISSING = BUILDERS or lacking("mmdebstrap", "systemd-nspawn")
pytestmark = [
    pytest.mark.skipif(not IS_LONG, reason="takes minutes, and a network: `make test-deb` does it"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a systemd in a root folder of its own"),
    pytest.mark.skipif(bool(MISSING), reason=f"no systemd can be booted here, without {MISSING}"),
]

SET = "fleetgen.service"
CONFIG = "/etc/fleetgen/generator.toml"
PROCESSES = ("company", "driver", "pipeline", "control")
WATCHDOG = {SET: 60, "fleetgen-driver.service": 30}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignRoot]:
    package = built(tmp_path_factory.mktemp("deb"))
    with booted_root(tmp_path_factory.mktemp("booted")) as booted:
        install(booted, package)
        (booted / CONFIG).write_text((booted / CONFIG).read_text().replace("PT10S", "PT2S"))
        yield booted


@pytest.fixture
def running(root: ForeignRoot) -> Iterator[ForeignRoot]:
    """The set as its one unit has just started it."""
    root.told("systemctl", "reset-failed")
    root.told("systemctl", "start", SET)
    yield root
    root.told("systemctl", "stop", SET)
    assert "no difference" in root.told("fleetgen", "verify", "--all", user="fleetgen")


@pytest.fixture
def exported(root: ForeignRoot) -> Iterator[ForeignRoot]:
    """A unit for each process, written by the user of the set and not started."""
    root.told("install", "-d", "-o", "fleetgen", "-g", "fleetgen", "/run/fleetgen", "/run/units")
    root.told("fleetgen", "export", "systemd", "/run/units", "--user", "fleetgen", user="fleetgen")
    root.told("sh", "-c", "cp /run/units/* /etc/systemd/system && rm -r /run/units /run/fleetgen")
    root.told("systemctl", "daemon-reload")
    yield root
    root.told("systemctl", "stop", "fleetgen.target", *services())
    root.told("sh", "-c", "rm /etc/systemd/system/fleetgen*")
    root.told("systemctl", "daemon-reload")
    assert "no difference" in root.told("fleetgen", "verify", "--all", user="fleetgen")


def services() -> list[str]:
    return [f"fleetgen-{process}.service" for process in PROCESSES]


def shown(root: ForeignRoot, unit: str, name: str) -> str:
    return root.told("systemctl", "show", unit, "--property", name, "--value").strip()


def is_active(root: ForeignRoot, unit: str) -> bool:
    return shown(root, unit, "ActiveState") == "active"


def batches(root: ForeignRoot) -> int:
    return len(list((root / "/var/lib/fleetgen/data/raw/events").glob("2*")))


def goes_on(root: ForeignRoot, unit: str, restarts: int) -> None:
    """Wait for one more restart of a unit, and for batches after it."""
    within = WATCHDOG[unit] + 30
    wait_for(lambda: int(shown(root, unit, "NRestarts")) > restarts, within, f"Another start of {unit}")
    wait_for(lambda: is_active(root, unit), 60, f"The readiness of {unit}")
    then = batches(root)
    wait_for(lambda: batches(root) > then, 30, "A batch after the restart")


def test_the_set_is_ready_when_every_process_runs(running: ForeignRoot) -> None:
    assert is_active(running, SET)
    status = running.told("fleetgen", "status")
    for process in PROCESSES:
        assert f"{process} " in status
    assert status.count("RUNNING") == len(PROCESSES)
    wait_for(lambda: batches(running) > 1, 30, "Batches")
    journal = running.told("journalctl", "--unit", SET, "--output", "cat")
    assert "fleetgen starts in emulated mode.\n" in journal  # without Ctrl-C, and with whole paths
    assert "tail -F /var/lib/fleetgen/data/manifests/logs/" in journal
    assert (running / "/var/log/fleetgen/processes").is_symlink()


def test_a_killed_set_is_started_again(running: ForeignRoot) -> None:
    restarts = int(shown(running, SET, "NRestarts"))
    running.told("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SET)
    goes_on(running, SET, restarts)


def test_a_set_that_says_nothing_any_more_is_started_again(running: ForeignRoot) -> None:
    restarts = int(shown(running, SET, "NRestarts"))
    running.told("systemctl", "kill", "--kill-whom=main", "--signal=STOP", SET)
    goes_on(running, SET, restarts)
    assert "Failed with result 'watchdog'" in running.told("journalctl", "--unit", SET)


def test_a_stop_ends_every_process_in_peace(running: ForeignRoot) -> None:
    wait_for(lambda: batches(running) > 1, 30, "Batches")
    running.told("systemctl", "stop", SET)
    assert (shown(running, SET, "Result"), shown(running, SET, "ExecMainStatus")) == ("success", "0")
    assert running.call("pgrep", "-u", "fleetgen").stdout == ""


def test_a_fault_that_no_restart_mends_ends_the_unit(root: ForeignRoot) -> None:
    config = (root / CONFIG).read_text()
    (root / CONFIG).write_text(config + "[nonsense]\n")
    try:
        assert root.call("systemctl", "start", SET).returncode != 0
        assert [shown(root, SET, name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")] == [
            "failed",
            "78",
            "0",
        ]
        assert "nonsense" in root.told("journalctl", "--unit", SET, "--lines", "5")
    finally:
        (root / CONFIG).write_text(config)


def test_one_unit_for_each_process_starts_after_a_boot_and_outlives_kills_and_silence(exported: ForeignRoot) -> None:
    # When all are started, with /run as empty as after the start of a machine, then all are ready
    exported.told("systemctl", "start", "fleetgen.target")
    wait_for(lambda: all(is_active(exported, each) for each in services()), 60, "The readiness of all")

    # When the driver is killed, and when it stands still, then it is started again
    for signal in ("KILL", "STOP"):
        restarts = int(shown(exported, "fleetgen-driver.service", "NRestarts"))
        exported.told("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", "fleetgen-driver.service")
        goes_on(exported, "fleetgen-driver.service", restarts)

    # And the target stops them all
    exported.told("systemctl", "stop", "fleetgen.target", *services())
    assert {shown(exported, each, "Result") for each in services()} == {"success"}
    assert exported.call("pgrep", "-u", "fleetgen").stdout == ""
