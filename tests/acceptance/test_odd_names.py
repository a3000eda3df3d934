"""A folder whose name means something in another program's language."""

from pathlib import Path

from support.configs import fleetgen


def test_status_shows_a_folder_that_is_named_like_markup(tmp_path: Path) -> None:
    folder = tmp_path / "a [bold] %d ü $'<b>"
    fleetgen("init", folder, cwd=tmp_path)
    told = fleetgen("status", "--config", folder / "etc" / "generator.toml", cwd=tmp_path)
    assert f"data in {folder.resolve() / 'data'}\n" in told.stdout
    assert told.returncode == 69
