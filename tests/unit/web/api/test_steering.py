"""Edits that are shown before they are made: the one line of the mode, a preset that keeps where the set runs."""

from pathlib import Path

import pytest

from fleetgen.config.loading import load
from fleetgen.config.presets import preset_names
from fleetgen.errors import ConfigurationError, UsageError
from fleetgen.web.api.steering import edit_of
from support.configs import SHIPPED, set_folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    text = SHIPPED.read_text().replace("port = 18000", "port = 18123  # mine").replace('"../data"', '"../elsewhere"')
    return set_folder(tmp_path, text)


def test_the_mode_is_one_line(file: Path) -> None:
    edit = edit_of(file, mode="production")
    changed = [line for line in edit.difference if line[0] in "+-"]
    assert [line.split("#")[0].strip() for line in changed] == ['-mode = "emulated"', '+mode = "production"']
    assert not edit.is_preset


def test_the_mode_in_force_changes_nothing(file: Path) -> None:
    assert edit_of(file, mode="emulated").difference == []


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_decides_the_data_and_nothing_else(file: Path, preset: str) -> None:
    before = load(file).config
    edit = edit_of(file, preset=preset)
    file.write_text(edit.after)
    after = load(file).config
    for table in ("paths", "metrics", "control", "pipeline", "supervisor"):
        assert getattr(after, table) == getattr(before, table), table
    assert "# mine" in edit.after
    assert "#:schema ./generator.schema.json" in edit.after
    pure = load(set_folder(file.parent / "pure", (SHIPPED.parent / "presets" / f"{preset}.toml").read_text())).config
    assert after.settings(1) == pure.settings(1)


def test_a_table_that_the_file_leaves_out_stays_left_out(tmp_path: Path) -> None:
    lines = SHIPPED.read_text().split("[supervisor]")[0]
    file = set_folder(tmp_path, lines)
    assert "[supervisor]" not in edit_of(file, preset="base").after


def test_what_cannot_be_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="There is no preset 'nothing'"):
        edit_of(file, preset="nothing")
    with pytest.raises(ConfigurationError, match="mode"):
        edit_of(file, mode="sometimes")
    file.write_text("mode = 7\n")
    with pytest.raises(ConfigurationError):
        edit_of(file, mode="production")
