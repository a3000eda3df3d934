"""Disks that lack an operation: done without where that can be, refused in one sentence where it cannot."""

import json
import os
from pathlib import Path

import pytest

from support.configs import fleetgen
from support.disks import lacking, mount_of_its_own, mounted

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems, which only root may")

BACKFILL = ("backfill", "--batches", "20", "--jobs", "1")
UP = ("up", "--port-offset", "31000")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a configuration."""
    assert fleetgen("init", tmp_path, cwd=tmp_path).returncode == 0
    return tmp_path


@pytest.mark.parametrize("operation", ["fsync of folders", "hard links"])
def test_batches_and_tables_are_made_without(place: Path, operation: str) -> None:
    environment = lacking(operation, place)
    for command in (BACKFILL, ("run", "pipeline", "--once"), ("verify", "--all"), ("tables",)):
        done = fleetgen(*command, cwd=place, **environment)
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), (command, done.stderr)
    asked = fleetgen("query", "SELECT count(DISTINCT batch_id) AS n FROM silver.events", "--format", "json", cwd=place)
    assert json.loads(asked.stdout) == {"n": 20}


@pytest.mark.parametrize(
    ("operation", "told"), [("locks", "cannot lock files"), ("locks that exclude", "gives one lock to two at once")]
)
@pytest.mark.parametrize("command", [UP, ("run", "driver"), BACKFILL], ids=lambda command: command[0])
def test_without_locks_nothing_is_made(place: Path, operation: str, told: str, command: tuple[str, ...]) -> None:
    refused = fleetgen(*command, cwd=place, **lacking(operation, place))
    said = refused.stdout + refused.stderr
    assert refused.returncode == 71
    assert told in said
    assert "put paths.data on a local disk" in said
    assert "Traceback" not in said
    assert not (place / "data" / "raw").exists()


@as_root
@pytest.mark.parametrize("folder", ["raw", "raw/events", "truth/companies", ".staging"])
def test_a_mount_that_batches_cannot_be_moved_into_is_refused_before_anything_is_made(place: Path, folder: str) -> None:
    with mount_of_its_own(place / "data" / folder):
        for command in (UP, BACKFILL):
            refused = fleetgen(*command, cwd=place)
            assert refused.returncode == 71
            assert f"{place / 'data' / folder} is a mount of its own" in refused.stderr
            assert f"mount all of {place / 'data'} instead" in refused.stderr
        assert not list((place / "data" / "raw").rglob("*.jsonl"))


@as_root
@pytest.mark.parametrize("folder", ["", "processed/fleet_by_geography"])
def test_other_mounts_are_welcome(place: Path, folder: str) -> None:
    with mount_of_its_own(place / "data" / folder):
        for command in (BACKFILL, ("run", "pipeline", "--once"), ("verify", "--all")):
            done = fleetgen(*command, cwd=place)
            assert done.returncode == 0, done.stderr


def test_a_mount_that_comes_later_ends_a_process_instead_of_being_tried_again_for_ever(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounts file systems, which only root may")
    assert fleetgen(*BACKFILL, cwd=place).returncode == 0
    with mount_of_its_own(place / "data" / "raw" / "events"):
        refused = fleetgen("run", "driver", cwd=place)
    assert refused.returncode == 71


@pytest.mark.parametrize("name", ["a%41b", "a[1]", "a\\b"])
def test_a_path_that_the_tables_cannot_have_is_refused_with_the_way_out(place: Path, name: str) -> None:
    (place / name).mkdir()
    assert fleetgen("init", place / name, cwd=place).returncode == 0
    refused = fleetgen(*UP, cwd=place / name)
    assert refused.returncode == 71
    assert "rename the folder, or set pipeline.enabled to false" in refused.stderr


@as_root
def test_a_preset_cannot_be_chosen_where_the_present_file_cannot_be_kept_beside_it(place: Path) -> None:
    with mount_of_its_own(place / "etc"):
        mounted("-o", "remount,bind,ro", place / "etc")
        refused = fleetgen("config", "use", "small", cwd=place)
    assert refused.returncode == 73
    assert "Read-only file system" in refused.stderr
    assert "mount its folder instead" in refused.stderr
