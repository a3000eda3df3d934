"""systemd's units, as systemd itself reads them, and the unit of the whole set. Nothing is started."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetgen.errors import ConfigurationError
from fleetgen.supervision.programs import programs
from fleetgen.supervision.units import HARDENING, TARGET, units
from support.configs import REPOSITORY, SHIPPED, fleetgen, set_folder
from unit.supervision.test_programs import ODD, loaded_in

UNIT = REPOSITORY / "packaging" / "systemd" / "fleetgen.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here: what systemd reads was not looked at"
)


def complaints(*files: Path) -> str:
    """Return what systemd has to say against units; it ends with 0 also for keys that it does not know."""
    command = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def written(folder: Path, texts: dict[str, str]) -> list[Path]:
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


@needs_systemd
@pytest.mark.parametrize("user", [None, "daemon"])
@pytest.mark.parametrize("name", ["plain", ODD])
def test_systemd_finds_no_fault_with_the_exported_units(tmp_path: Path, name: str, user: str | None) -> None:
    texts = units(loaded_in(tmp_path / name), user=user)
    assert complaints(*written(tmp_path / "units", texts)) == ""


@needs_systemd
def test_systemd_finds_no_fault_with_the_unit_of_the_set(tmp_path: Path) -> None:
    here = UNIT.read_text().replace("/usr/lib/fleetgen/bin/fleetgen", "/bin/true")
    assert complaints(*written(tmp_path / "units", {"fleetgen.service": here})) == ""


@needs_systemd
def test_the_unit_of_the_set_is_hardened() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(UNIT)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


def test_every_program_of_supervisord_has_a_unit_with_the_same_life(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path)
    texts = units(loaded, port_offset=7)
    assert set(texts) == {TARGET, *(f"fleetgen-{each.name}.service" for each in programs(loaded))}
    for each in programs(loaded, 7):
        text = texts[f"fleetgen-{each.name}.service"]
        assert f'"run" "{each.name}"' in text
        assert f'"--port" "{each.port}"' in text
        assert f"Wants=fleetgen-{each.name}.service" in texts[TARGET]
        for line in ("Restart=on-failure", "RestartPreventExitStatus=71 75 78", "WatchdogSec=30", "TimeoutStopSec=10"):
            assert line in text.splitlines()


def test_the_set_and_its_single_processes_are_hardened_alike() -> None:
    of_the_set = set(UNIT.read_text().splitlines())
    assert [line for line in HARDENING if line not in of_the_set] == []


def test_the_set_may_set_the_owner_of_a_file_as_supervisord_does_with_its_socket() -> None:
    filters = [line for line in UNIT.read_text().splitlines() if line.startswith("SystemCallFilter=")]
    assert filters[-1] == "SystemCallFilter=@chown"


def test_a_folder_below_run_is_made_at_each_start_of_a_service_of_the_system(tmp_path: Path) -> None:
    def texts(run: str, user: str | None = "daemon") -> dict[str, str]:
        return units(loaded_in(tmp_path, **{'run = "../run"': f'run = "{run}"'}), user=user)

    for name, text in texts("/run/fleet gen/one").items():
        assert name == TARGET or 'RuntimeDirectory="fleet gen/one"\n' in text
    for others in (texts("/run"), texts("/srv/run/fleetgen"), texts("/run/fleetgen", user=None)):
        assert "RuntimeDirectory" not in "".join(others.values())


def test_java_may_compile_as_it_runs_where_the_pipeline_is_sparks(tmp_path: Path) -> None:
    def hardened(engine: str) -> set[str]:
        loaded = loaded_in(tmp_path / engine, **{'engine = "embedded"': f'engine = "{engine}"'})
        texts = units(loaded, user="daemon")
        return {name for name, text in texts.items() if "MemoryDenyWriteExecute=yes" in text}

    assert hardened("embedded") - hardened("spark") == {"fleetgen-pipeline.service"}


def test_the_set_may_take_as_long_to_stop_as_its_processes_one_after_the_other(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path)
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found
    assert int(found[1]) > len(programs(loaded)) * loaded.config.supervisor.stop_wait_seconds


@pytest.mark.parametrize("name", ["a\nb", "a\tb"])
def test_a_path_that_a_unit_cannot_express_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="which a systemd unit cannot express: rename the folder"):
        units(loaded_in(tmp_path / name))


def test_export_writes_the_units_and_makes_the_folders_that_they_need(tmp_path: Path) -> None:
    file = set_folder(tmp_path, SHIPPED.read_text())
    ended = fleetgen("export", "systemd", tmp_path / "units", "--config", file, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "data" / "manifests" / "logs").is_dir()
    assert TARGET in [path.name for path in (tmp_path / "units").iterdir()]
    refused = fleetgen("export", "systemd", tmp_path / "units", "--user", "a b", "--config", file, cwd=tmp_path)
    assert refused.returncode == 2
    assert "is no name of a user" in refused.stderr
