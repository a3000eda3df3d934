"""The wheel, installed into fresh environments: with the core alone and with each extra it needs no checkout."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from support.configs import ETC, REPOSITORY
from support.earlier import PRESETS
from support.patience import wait_for
from support.sets import free_ports
from support.wheels import build, detached, install

DISABLED = ("control", "pipeline")
"""Tables of processes that need an extra."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("dist"))


class Place:
    """A folder made by the wheel's own `init`, with ports of its own, from which its commands are called."""

    def __init__(self, folder: Path, wheel: Path, extra: str = "", enabled: tuple[str, ...] = ()) -> None:
        self.folder, self._programs = folder / "place", install(folder / "environment", wheel, extra)
        self.folder.mkdir()
        assert self.call("init", ".", "--preset", "emulated-5s").returncode == 0
        config = self.folder / "etc" / "generator.toml"
        text, (*ports, self.port) = config.read_text(), free_ports(4)
        for number, port in zip((9101, 9102, 9103, 18000), (*ports, self.port), strict=True):
            text = text.replace(f"port = {number}\n", f"port = {port}\n")
        for table in set(DISABLED) - set(enabled):
            head, _, rest = text.partition(f"\n[{table}]")
            text = f"{head}\n[{table}]{rest.replace('enabled = true', 'enabled = false', 1)}"
        config.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [str(self._programs / "fleetgen"), *arguments]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(command, cwd=self.folder, env=detached(), capture_output=True, text=True, timeout=120)

    def python(self, program: str) -> str:
        command = [str(self._programs / "python"), "-c", program]
        done = subprocess.run(command, cwd=self.folder, env=detached(), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def batches(self) -> int:
        return len(list((self.folder / "data" / "raw" / "events").glob("*")))

    @contextmanager
    def up(self) -> Iterator[None]:
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                self.command("up"),
                cwd=self.folder,
                env=detached(),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            wait_for(lambda: self.batches() > 0 or process.poll() is not None, 60, "A batch")
            assert process.poll() is None, (self.folder / "output").read_text()
            yield
        finally:
            process.terminate()
            process.wait(60)

    def get(self, path: str) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            content: bytes = answer.read()
            return content


def test_wheel_has_every_file_of_etc_that_git_has(built: tuple[Path, Path]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "etc"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("this is no clone")
    names = {name.removeprefix("etc/") for name in tracked.stdout.split("\0") if name}

    with ZipFile(built[1]) as wheel:
        inside = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("fleetgen/etc/")}

    assert inside == {f"fleetgen/etc/{name}": (ETC / name).read_bytes() for name in names}


def test_core_alone_makes_history_and_runs_a_set(built: tuple[Path, Path], tmp_path: Path) -> None:
    # Given the wheel without extras
    place = Place(tmp_path, built[1])
    assert place.python("import fleetgen; print(fleetgen.__file__)").startswith(str(tmp_path))
    absent = (
        "import importlib.util as u; print([n for n in ('fastapi', 'duckdb', 'nicegui', 'yaml') if u.find_spec(n)])"
    )
    assert place.python(absent) == "[]"

    # Then presets, schema and rules are there, history is made, and a set runs and stops
    assert len(place.call("config", "presets").stdout.splitlines()) == 7
    assert place.call("config", "use", "emulated-30s").returncode == 0
    shutil.move(place.folder / "etc" / "generator.toml.bak", place.folder / "etc" / "generator.toml")
    assert place.call("backfill", "--batches", "3").returncode == 0
    assert place.call("verify", "--all").returncode == 0
    before = place.batches()
    with place.up():
        wait_for(lambda: place.batches() > before, 20, "A batch of the running set")
        assert place.call("status").returncode == 0
        assert place.call("down").returncode == 0


def test_core_alone_names_the_extra_that_is_missing(built: tuple[Path, Path], tmp_path: Path) -> None:
    place = Place(tmp_path, built[1], enabled=("control",))

    refused, asked = place.call("up"), place.call("query", "SELECT 1")
    old = place.folder / "old.yaml"
    old.write_text(PRESETS["config.small.yaml"])
    imported, looked = place.call("config", "import", str(old)), place.call("doctor", "--json")

    assert (refused.returncode, asked.returncode, imported.returncode, looked.returncode) == (71, 71, 71, 1)
    assert "fleetgen[control]" in refused.stderr
    assert "fleetgen[pipeline]" in asked.stderr
    assert "fleetgen[yaml]" in imported.stderr
    checks = {each["check"]: each for each in json.loads(looked.stdout)["checks"]}
    assert [name for name, each in checks.items() if each["verdict"] == "fault"] == ["extra control"]
    assert "fleetgen[control]" in checks["extra control"]["remedy"]
    assert checks["extra pipeline"]["says"].startswith("not installed")


def test_extra_control_serves_the_api(built: tuple[Path, Path], tmp_path: Path) -> None:
    place = Place(tmp_path, built[1], "control", enabled=("control",))

    with place.up():
        health = _when_answered(place)

    assert health["company_generator"]["total_batches"] >= 1


def test_extra_dashboard_serves_the_page(built: tuple[Path, Path], tmp_path: Path) -> None:
    place = Place(tmp_path, built[1], "dashboard", enabled=("control",))

    with place.up():
        _when_answered(place)
        page = place.get("/").decode()

    assert "<title>fleetgen</title>" in page
    assert (REPOSITORY / "lib/fleetgen/web/dashboard/components/page.css").read_text() in page


def test_extra_pipeline_fills_tables(built: tuple[Path, Path], tmp_path: Path) -> None:
    place = Place(tmp_path, built[1], "pipeline", enabled=("pipeline",))

    assert place.call("backfill", "--batches", "3").returncode == 0
    assert place.call("run", "pipeline", "--once").returncode == 0
    asked = place.call("query", "SELECT count(*) AS n FROM companies", "--format", "json")

    assert json.loads(asked.stdout)["n"] > 0


def test_extra_yaml_imports_the_earlier_configuration(built: tuple[Path, Path], tmp_path: Path) -> None:
    place = Place(tmp_path, built[1], "yaml")
    old = place.folder / "old.yaml"
    old.write_text(PRESETS["config.small.yaml"])

    assert place.call("config", "import", str(old), "--output", "etc/small.toml").returncode == 0
    assert place.call("config", "check", "--config", "etc/small.toml").returncode == 0


def _when_answered(place: Place) -> Any:
    """Return the health of a set that has just been started, when its API answers."""
    answers: list[Any] = []

    def is_answered() -> bool:
        try:
            answers.append(json.loads(place.get("/api/health")))
        except OSError:
            return False
        return bool(answers[-1]["company_generator"]["total_batches"])

    wait_for(is_answered, 60, "The API")
    return answers[-1]


def test_two_builds_have_one_hash(built: tuple[Path, Path], tmp_path: Path) -> None:
    # Given the same sources elsewhere, with other times and modes, leftovers of a running set and of Python, and no git
    copy = tmp_path / "another checkout"
    copy.mkdir()
    with tarfile.open(built[0]) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    shutil.copytree(unpacked, copy, dirs_exist_ok=True)
    without_locks = shutil.ignore_patterns("locks")
    shutil.copytree(REPOSITORY / "packaging", copy / "packaging", ignore=without_locks, dirs_exist_ok=True)
    for path in copy.rglob("*"):
        path.touch()
        if path.suffix == ".py":
            path.chmod(0o600)
    for left in (
        "etc/control.token",
        "etc/supervisord.conf",
        "etc/generator.toml.bak",
        "data/raw/x",
        "run/x",
        "dist/x",
    ):
        (copy / left).parent.mkdir(parents=True, exist_ok=True)
        (copy / left).write_text("secret")
    (copy / "lib" / "fleetgen" / "__pycache__").mkdir()
    (copy / "lib" / "fleetgen" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"old")

    # When it is built there
    again = build(tmp_path / "dist", copy, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")

    # Then sdist and wheel are the same, byte for byte
    assert [path.read_bytes() == other.read_bytes() for path, other in zip(built, again, strict=True)] == [True, True]


def test_a_date_of_ones_own_is_the_date_of_all_files(tmp_path: Path) -> None:
    _, wheel = build(tmp_path, SOURCE_DATE_EPOCH="1700000000")

    with ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
