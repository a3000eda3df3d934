"""supervisord under hostile circumstances: terminals that close, few files, odd names, other people's supervisord."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet, free_ports, running_set


def start_with(running: RunningSet, before: Callable[[], object]) -> None:
    """Start the set with something done in its process beforehand, and wait until its processes start."""
    with (running.folder / "output").open("ab") as output:
        running.process = subprocess.Popen(
            [*FLEETGEN, "up", "--config", str(running.config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before,
        )
    wait_for(lambda: running.output.count("Starting ") == 2, 60, "The start")


def few_files(count: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_a_closed_terminal_ends_the_set() -> None:
    with running_set() as running:
        assert running.stop(signal.SIGHUP) == 0
        assert running.descendants() == []
        assert running.output.count("Starting ") == 2


def test_a_set_that_nohup_started_outlives_the_terminal() -> None:
    with RunningSet() as running:
        start_with(running, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        assert running.process is not None
        before = running.pids()
        running.process.send_signal(signal.SIGHUP)
        time.sleep(2)
        assert running.process.poll() is None
        assert running.pids() == before


def test_a_process_by_hand_runs_under_the_supervisord_of_somebody_else(tmp_path: Path) -> None:
    with RunningSet() as running:
        run = running.folder / "run"
        run.mkdir()
        (run / "supervisord.pid").write_text("1\n")
        command = [*FLEETGEN, "run", "driver", "--port", str(free_ports(1)[0]), "--config", str(running.config)]
        with (tmp_path / "output").open("wb") as output:
            environment = os.environ | {"SUPERVISOR_ENABLED": "1"}
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        wait_for(lambda: "Starting driver" in (tmp_path / "output").read_text(), 10, "The start")
        time.sleep(1)
        assert process.poll() is None, (tmp_path / "output").read_text()
        process.terminate()
        assert process.wait(10) == 0


def test_a_process_whose_supervisord_is_gone_says_why_it_ends(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with RunningSet() as running:
        command = [*FLEETGEN, "run", "driver", "--port", str(free_ports(1)[0]), "--config", str(running.config)]
        environment = os.environ | {"FLEETGEN_SUPERVISOR": str(gone.pid)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
        assert ended.returncode == 1
        assert f"supervisord (process {gone.pid}) is gone" in ended.stdout + ended.stderr


def test_a_set_starts_with_512_files() -> None:
    with RunningSet() as running:
        start_with(running, few_files(512))
        assert running.stop() == 0


def test_too_few_files_are_refused_before_the_banner() -> None:
    with RunningSet() as running:
        command = [*FLEETGEN, "up", "--config", str(running.config)]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=20, preexec_fn=few_files(32))
        assert refused.returncode == 71
        assert refused.stdout == ""
        assert "32 files" in refused.stderr
        assert "ulimit -n" in refused.stderr
        assert "Traceback" not in refused.stderr


_READ_ONLY = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
for mounted in $(cut -d' ' -f2 /proc/mounts | grep -v -e '^/proc' -e '^/sys' -e '^/dev/pts' -e "^$1"); do
    mount -o remount,bind,ro "$mounted" || true
done
shift
cd /
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems, which only root may")
def test_a_set_runs_where_all_but_its_own_folder_is_read_only() -> None:
    with RunningSet(pipeline=True, driver_interval='"PT1S"', company_interval='"PT1S"') as running:
        command = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(running.folder)]
        with (running.folder / "output").open("ab") as output:
            running.process = subprocess.Popen(
                [*command, *FLEETGEN, "up", "--config", str(running.config)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(lambda: "Pipeline carried" in running.output, 30, "Batches in gold")
        environment = Path(f"/proc/{running.process.pid}/environ").read_bytes().split(b"\0")
        assert f"TMPDIR={running.folder / 'run'}".encode() in environment
        assert "Traceback" not in running.output
        assert "Read-only" not in running.output
        assert running.stop() == 0


def test_the_commands_in_a_copied_folder_leave_the_originals_set_alone() -> None:
    with running_set() as running:
        copy = running.folder / "copy"
        (copy / "etc").mkdir(parents=True)
        for name in ("generator.toml", "supervisord.conf"):
            shutil.copy(running.config.with_name(name), copy / "etc" / name)
        named = ["--config", str(copy / "etc" / "generator.toml")]
        calls = [
            ["status", *named],
            ["down", *named],
            ["ctl", *named, "stop", "driver"],
            ["ctl", "stop", *named, "driver"],
        ]
        for call in calls:
            answer = subprocess.run([*FLEETGEN, *call], capture_output=True, text=True, timeout=20)
            assert "not running" in answer.stdout + answer.stderr
        answer = subprocess.run(
            [*FLEETGEN, "ctl", "tail", "-20", "company", "--config", str(running.config)],
            capture_output=True,
            text=True,
        )
        assert (answer.returncode, len(answer.stdout.strip()) > 10) == (0, True)
        assert running.process is not None
        assert running.process.poll() is None
        assert running.ctl("status").count("RUNNING") == 2


@pytest.mark.parametrize("text", ["[supervisord]\nnodaemon=perhaps\n", "no file at all\n", "[supervisord]\nminfds=x\n"])
def test_a_supervisord_that_cannot_start_says_so_in_one_sentence(tmp_path: Path, text: str) -> None:
    conf = tmp_path / "supervisord.conf"
    conf.write_text(text)
    command = [sys.executable, "-m", "fleetgen.supervision.daemon", "--configuration", str(conf)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 71
    assert refused.stderr.startswith("fleetgen: supervisord could not start: ")
    assert "Traceback" not in refused.stderr
