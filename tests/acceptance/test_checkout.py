"""A checkout sets up its own environment, wherever it is cloned, copied or moved, and whatever pip's settings say."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# Builds a package whose commands say where their code is and what they were asked, with nothing but the standard library.
BACKEND = """
import pathlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    info = "fleetgen-1.dist-info/"
    files = {
        "fleetgen.pth": str(pathlib.Path("lib").resolve()),
        info + "METADATA": "Metadata-Version: 2.1\\nName: fleetgen\\nVersion: 1\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        info + "entry_points.txt": "[console_scripts]\\nfleetgen = small:main\\nsupervisorctl = small:main\\n",
    }
    name = "fleetgen-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(info + "RECORD", "".join(f"{path},,\\n" for path in [*files, info + "RECORD"]))
    return name
"""
CODE = "import sys\n\ndef main():\n    print(__file__, *sys.argv[1:])\n"
BENT = {
    "USER": "1", "TARGET": "/tmp/nowhere", "PREFIX": "/tmp/nowhere", "ROOT": "/tmp/nowhere", "REQUIRE_HASHES": "1",
    "CONSTRAINT": "/tmp/no-such-file", "PYTHON": "/tmp/no-such-python", "DRY_RUN": "1", "NO_DEPS": "1",
}  # fmt: skip


def run(folder: Path, *command: str | Path, check: bool = True, **variables: Any) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "PYTHON"}}
    environment = inherited | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=200)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def is_refused(done: subprocess.CompletedProcess[str], folder: Path, why: str) -> bool:
    """It says in one sentence what is wrong and what to do where."""
    line = done.stderr
    return (
        done.returncode == 71 and line.count("\n") == 1 and why in line and f"run 'make install' in {folder}\n" in line
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkout with the project's own Makefile, packaging and bin, after `make install`."""
    folder = tmp_path_factory.mktemp("checkout") / "first"
    shutil.copytree(PROJECT / "packaging", folder / "packaging", ignore=shutil.ignore_patterns("locks"))
    shutil.copytree(PROJECT / "bin", folder / "bin")
    shutil.copy(PROJECT / "Makefile", folder)
    for name, text in {
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND,
        "lib/small.py": CODE,
        "packaging/locks/run.txt": "",
        "packaging/locks/dev.txt": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    run(folder, "make", "install")
    return folder


@pytest.fixture
def checkout(installed: Path) -> Path:
    """The same one; a test leaves it as `make install` does."""
    run(installed, "make", "install")
    return installed


def test_clone_has_the_same_bytes_whatever_git_does_with_line_ends(tmp_path: Path) -> None:
    names = run(PROJECT, "git", "ls-files", "-z", check=False).stdout.split("\0")
    tracked = {name for name in {*names, ".gitattributes"} if name and (PROJECT / name).is_file()}
    if len(tracked) < 10:
        pytest.skip("this is no clone")
    origin = tmp_path / "origin"
    for name in tracked:
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, origin / name)
    run(origin, "git", "init", "--quiet")
    run(origin, "git", "-c", "core.autocrlf=false", "add", "--force", ".")
    run(origin, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "all")
    run(tmp_path, "git", "clone", "--quiet", "-c", "core.autocrlf=true", "origin", "clone")
    different = [n for n in tracked if (tmp_path / "clone" / n).read_bytes() != (PROJECT / n).read_bytes()]
    assert different == []


def test_second_install_is_quick_and_says_nothing(checkout: Path) -> None:
    durations = []
    for _ in range(4):
        began = time.perf_counter()
        done = run(checkout, "make", "install")
        durations.append(time.perf_counter() - began)
        assert done.stdout + done.stderr == ""
    assert min(durations) < 3


def test_copied_checkout_runs_its_own_code_or_none(checkout: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a 100% copy"
    shutil.copytree(checkout, copy, symlinks=True)
    assert is_refused(run(copy, "bin/fleetgen", check=False), copy, "made for another place")
    assert is_refused(run(copy, "bin/supervisorctl", check=False), copy, "made for another place")
    run(copy, "make", "install")
    assert run(copy, "bin/fleetgen").stdout == f"{copy}/lib/small.py\n"
    assert run(checkout, "bin/fleetgen").stdout == f"{checkout}/lib/small.py\n"


def test_moved_checkout_is_refused_until_it_is_back(checkout: Path, tmp_path: Path) -> None:
    there = tmp_path / "moved"
    checkout.rename(there)
    try:
        assert is_refused(run(there, "bin/fleetgen", check=False), there, "made for another place")
    finally:
        there.rename(checkout)
    assert run(checkout, "bin/fleetgen").stdout == f"{checkout}/lib/small.py\n"


def test_copied_link_to_an_environment_spares_the_original(checkout: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".venv"))
    (copy / ".venv").symlink_to(checkout / ".venv")
    run(copy, "make", "install")
    assert run(copy, "bin/fleetgen").stdout == f"{copy}/lib/small.py\n"
    assert run(checkout, "bin/fleetgen").stdout == f"{checkout}/lib/small.py\n"


def test_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    for link in (checkout / ".venv/bin").glob("python*"):
        link.unlink()
        link.symlink_to("/tmp/no-such-python")
    assert is_refused(run(checkout, "bin/fleetgen", check=False), checkout, "Python is gone")
    run(checkout, "make", "install")
    assert run(checkout, "bin/fleetgen").stdout == f"{checkout}/lib/small.py\n"


def test_environment_of_another_python_is_made_anew(checkout: Path) -> None:
    for stamp in (checkout / ".venv").glob(".[mr]*"):
        stamp.write_text(stamp.read_text().replace("Python 3.", "Python 2."))
    left = checkout / ".venv/left"
    left.touch()
    run(checkout, "make", "install")
    assert not left.exists()


def test_failed_install_leaves_no_stamp_and_is_done_again(checkout: Path) -> None:
    lock = checkout / "packaging/locks/run.txt"
    lock.write_text("no-such-package==1\n")
    try:
        assert run(checkout, "make", "install", check=False).returncode != 0
        assert is_refused(run(checkout, "bin/fleetgen", check=False), checkout, "no finished environment")
    finally:
        lock.write_text("")
    done = run(checkout, "make", "install")
    assert "Installing" in done.stdout and "Setting up" not in done.stdout
    assert run(checkout, "bin/fleetgen").returncode == 0


def test_content_of_a_lock_counts_and_not_its_time(checkout: Path) -> None:
    lock = checkout / "packaging/locks/run.txt"
    os.utime(lock, (time.time() + 60,) * 2)
    assert run(checkout, "make", "install").stdout == ""
    lock.write_text("# changed\n")
    os.utime(lock, (0, 0))
    done = run(checkout, "make", "install")
    assert "Installing" in done.stdout and "Setting up" not in done.stdout


def test_environment_for_tests_also_runs(checkout: Path) -> None:
    run(checkout, "make", "install-dev")
    done = run(checkout, "make", "install", "install-dev")
    assert done.stdout + done.stderr == ""


def test_what_make_starts_is_compiled_once_whatever_the_environment_says(checkout: Path) -> None:
    shutil.rmtree(checkout / "lib/__pycache__", ignore_errors=True)
    run(checkout, "make", "run", PYTHONDONTWRITEBYTECODE="1")
    assert [path.name.split(".")[0] for path in (checkout / "lib/__pycache__").iterdir()] == ["small"]


def test_commands_find_their_checkout_where_cdpath_is_set(checkout: Path) -> None:
    assert run(checkout, "bin/fleetgen", "x", CDPATH=".").stdout == f"{checkout}/lib/small.py x\n"


def test_supervisorctl_uses_only_the_file_made_for_this_checkout(checkout: Path) -> None:
    conf = checkout / "run/supervisord.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("; Made by fleetgen\n; For /another/etc/generator.toml\n[supervisord]\n")
    refused = run(checkout, "bin/supervisorctl", "status", check=False)
    assert refused.returncode == 69 and "the set was never started here" in refused.stderr
    conf.write_text("; Made by fleetgen\n[supervisord]\n")
    assert run(checkout, "bin/supervisorctl", "status", check=False).returncode == 69
    conf.write_text(f"; Made by fleetgen\n; For {checkout}/etc/generator.toml\n[supervisord]\n")
    assert run(checkout, "bin/supervisorctl", "status").stdout.endswith(f" -c {conf} status\n")


def test_pip_settings_that_fit_no_private_environment_do_not_break_install(checkout: Path, tmp_path: Path) -> None:
    pip_conf = tmp_path / ".config/pip/pip.conf"
    pip_conf.parent.mkdir(parents=True)
    keys = "".join(f"{key.lower().replace('_', '-')} = {value}\n" for key, value in BENT.items())
    pip_conf.write_text(f"[global]\nquiet = 3\n{keys}[install]\n{keys}")
    variables = {f"PIP_{key}": value for key, value in BENT.items()}
    places = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    for bent in (variables, places, {"PYTHONHOME": "/tmp/nowhere"}):
        run(checkout, ".venv/bin/python", "-I", "-m", "pip", "uninstall", "--yes", "--quiet", "fleetgen")
        (checkout / ".venv/.run").unlink()
        run(checkout, "make", "install", check=True, **bent)
        assert run(checkout, "bin/fleetgen").stdout == f"{checkout}/lib/small.py\n"


def test_pip_settings_that_say_how_to_reach_packages_are_kept(checkout: Path, tmp_path: Path) -> None:
    pip_conf = tmp_path / "pip/pip.conf"
    pip_conf.parent.mkdir()
    pip_conf.write_text(
        "[global]\nuser = true\nquiet = 3\nindex-url = https://one.test/simple\nproxy = http://a:%%40@proxy.test\n"
        "extra-index-url =\n    https://two.test/x\n    https://three.test/x\n"
        "[install]\nno-deps = true\ntrusted-host = two.test\n[download]\nretries = 9\n"
    )
    python = checkout / ".venv/bin/python"
    bent = {"PIP_TARGET": "/tmp/nowhere", "PIP_TIMEOUT": "7", "XDG_CONFIG_HOME": str(tmp_path)}
    lines = run(checkout, python, "packaging/pip", "config", "list", check=True, **bent).stdout.splitlines()
    assert {
        ":env:.index-url='https://one.test/simple'",
        ":env:.extra-index-url='\\nhttps://two.test/x\\nhttps://three.test/x'",
        ":env:.trusted-host='two.test'",
        ":env:.timeout='7'",
    } <= set(lines)
    assert not [
        line for line in lines if any(word in line for word in ("user", "target", "no-deps", "quiet", "retries"))
    ]
    assert all(line.startswith(":env:.") for line in lines)
