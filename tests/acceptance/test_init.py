"""`fleetgen init` lays out an `etc/` anywhere, and spares what lies there."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.configs import ETC, fleetgen, tree

BESIDE = sorted(
    str(path.relative_to(ETC))
    for path in [
        ETC / "generator.schema.json",
        *(path for name in ("grafana", "lnav", "presets", "prometheus") for path in (ETC / name).rglob("*.*")),
    ]
    if path.is_file()
)
"""What ships beside a configuration."""


def test_every_file_is_laid_out_as_it_ships_and_named(tmp_path: Path) -> None:
    answer = fleetgen("init", "mine", cwd=tmp_path)

    etc = tmp_path / "mine" / "etc"
    made = {
        name.removeprefix("mine/etc/"): content for name, content in tree(tmp_path).items() if content != "not a file"
    }
    assert answer.returncode == 0
    assert sorted(made) == sorted([*BESIDE, "generator.toml"])
    assert [name for name in BESIDE if made[name] != (ETC / name).read_bytes()] == []
    named = [line.strip() for line in answer.stdout.splitlines() if line.startswith("  mine/")]
    assert sorted(named) == sorted(str(path.relative_to(tmp_path)) for path in etc.rglob("*") if path.is_file())


def test_nothing_that_lies_there_is_written_over(tmp_path: Path) -> None:
    # Given a folder without a configuration, in which two of the files are other ones and one is the same
    assert fleetgen("init", "mine", cwd=tmp_path).returncode == 0
    etc = tmp_path / "mine" / "etc"
    (etc / "generator.toml").unlink()
    mine = [etc / "presets" / "small.toml", etc / "prometheus" / "prometheus.yml"]
    for path in mine:
        path.write_text("# mine\n")
    (etc / "lnav" / "fleetgen.json").unlink()
    before = tree(tmp_path)

    # When it is made again
    answer = fleetgen("init", "mine", cwd=tmp_path)

    # Then one message names both, and nothing is changed
    assert answer.returncode == 73
    assert all(str(path.relative_to(tmp_path)) in answer.stderr for path in mine)
    assert "base.toml" not in answer.stderr
    assert "--force" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert tree(tmp_path) == before


def test_files_with_the_same_content_are_no_hindrance(tmp_path: Path) -> None:
    assert fleetgen("init", ".", cwd=tmp_path).returncode == 0
    (tmp_path / "etc" / "generator.toml").unlink()

    assert fleetgen("init", ".", "--preset", "small", cwd=tmp_path).returncode == 0


def test_force_writes_over_and_keeps_the_configuration(tmp_path: Path) -> None:
    # Given a configuration and a preset of one's own
    assert fleetgen("init", ".", cwd=tmp_path).returncode == 0
    config, preset = tmp_path / "etc" / "generator.toml", tmp_path / "etc" / "presets" / "small.toml"
    config.write_text("# mine\n")
    preset.write_text("# mine too\n")

    # When the folder is laid out by force
    answer = fleetgen("init", ".", "--preset", "small", "--force", cwd=tmp_path)

    # Then both are as they ship, and the configuration that was there is kept, and named
    assert answer.returncode == 0
    assert preset.read_bytes() == (ETC / "presets" / "small.toml").read_bytes()
    assert 'mode = "production"' in config.read_text()
    assert (tmp_path / "etc" / "generator.toml.bak").read_text() == "# mine\n"
    assert "etc/generator.toml.bak" in answer.stdout


def test_a_reader_that_goes_away_leaves_nothing_half_done(tmp_path: Path) -> None:
    program = 'python="$1"; "$python" -m fleetgen init mine | true'
    subprocess.run(["sh", "-c", program, "sh", sys.executable], cwd=tmp_path, check=False, capture_output=True)

    assert (tmp_path / "mine" / "etc" / "generator.toml").exists()


@pytest.mark.parametrize("name", ["presets", "prometheus/rules", "generator.schema.json"])
def test_what_is_in_the_way_is_named(tmp_path: Path, name: str) -> None:
    place = tmp_path / "mine" / "etc" / name
    place.parent.mkdir(parents=True)
    if place.suffix:
        place.mkdir()
    else:
        place.write_text("")

    answer = fleetgen("init", "mine", cwd=tmp_path)

    assert answer.returncode == 73
    assert str(Path("mine", "etc", name)) in answer.stderr
    assert not (tmp_path / "mine" / "etc" / "generator.toml").exists()
