"""`mode` edits one line of the file and leaves every other byte alone."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from fleetgen.config.editing import set_mode, write_config
from fleetgen.errors import CannotCreate, ConfigurationError
from support.configs import SHIPPED, parsed, written

COMMENTED = """\
#:schema ./generator.schema.json
# mode = "production" is for rehearsals
{line}

fleet . drivers_per_company = 0x0A  # ten, in hexadecimal
[ modes.emulated ]# close
  events_per_batch = {{min=5,   max = 20}}
[modes.production]\t

# the end has no line break"""


@pytest.mark.parametrize(
    ("line", "edited"),
    [
        ('mode = "emulated"', 'mode = "production"'),
        ('mode = "emulated"              # the one line', 'mode = "production"              # the one line'),
        ('  mode\t=   "emulated"#x', '  mode\t=   "production"#x'),
        ("mode = 'emulated'", 'mode = "production"'),
        ('"mode" = "emulated"', '"mode" = "production"'),
        ('mode = """emulated"""', 'mode = "production"'),
    ],
)
def test_mode_changes_one_line_and_no_other_byte(tmp_path: Path, line: str, edited: str) -> None:
    # Given a file with comments and unusual white space
    file = tmp_path / "generator.toml"
    file.write_text(COMMENTED.format(line=line))

    # When its mode is set
    before = set_mode(file, "production")

    # Then only the value of that line is another
    assert before == "emulated"
    assert file.read_bytes() == COMMENTED.format(line=edited).encode()


def test_mode_keeps_every_comment_of_the_shipped_file(tmp_path: Path) -> None:
    # Given the shipped file
    file = tmp_path / "generator.toml"
    file.write_bytes(SHIPPED.read_bytes())

    # When the mode is set
    set_mode(file, "production")

    # Then exactly the line of the mode differs, and only in its value
    pairs = zip(SHIPPED.read_bytes().split(b"\n"), file.read_bytes().split(b"\n"), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert [new for _, new in changed] == [old.replace(b'"emulated" ', b'"production" ', 1) for old, _ in changed]
    assert len(changed) == 1


def test_mode_there_and_back_gives_the_same_bytes(tmp_path: Path) -> None:
    file = tmp_path / "generator.toml"
    file.write_bytes(SHIPPED.read_bytes().replace(b"\n", b"\r\n"))

    set_mode(file, "production")
    assert parsed(file.read_bytes().decode()).mode == "production"
    set_mode(file, "emulated")

    assert file.read_bytes() == SHIPPED.read_bytes().replace(b"\n", b"\r\n")


def test_setting_the_mode_that_it_has_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "generator.toml"
    file.write_text(written().text)
    before = file.stat()

    assert set_mode(file, "emulated") == "emulated"

    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_invalid_file_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "generator.toml"
    text = written({"seed": '"many"'}).text
    file.write_text(text)

    with pytest.raises(ConfigurationError, match="seed"):
        set_mode(file, "production")

    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link_and_its_file_is_edited(tmp_path: Path) -> None:
    # Given a configuration that is a link, as those who keep settings elsewhere have it
    kept = tmp_path / "kept" / "mine.toml"
    kept.parent.mkdir()
    kept.write_text(written().text)
    file = tmp_path / "generator.toml"
    file.symlink_to(kept)

    # When the mode is set
    set_mode(file, "production")

    # Then the link still points there, and the file behind it is edited
    assert file.readlink() == kept
    assert parsed(kept.read_text()).mode == "production"


def test_an_edit_keeps_who_may_read_the_file(tmp_path: Path) -> None:
    # Given a file that only its owner may read
    file = tmp_path / "generator.toml"
    file.write_text(written().text)
    file.chmod(0o600)

    # When the mode is set
    set_mode(file, "production")

    # Then it is still so
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_a_fault_in_words(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match="Cannot write"):
        write_config(tmp_path / "missing" / "generator.toml", "")

    assert list(tmp_path.iterdir()) == []


def test_a_link_to_itself_is_a_fault_in_words(tmp_path: Path) -> None:
    loop = tmp_path / "generator.toml"
    loop.symlink_to(loop)

    with pytest.raises(CannotCreate, match="Cannot write"):
        write_config(loop, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file, which only root may")
def test_a_file_that_is_a_mount_of_its_own_is_written_in_place(tmp_path: Path) -> None:
    """As in a container into which the one file is mounted: it cannot be replaced by a rename."""
    outside, file = tmp_path / "outside.toml", tmp_path / "generator.toml"
    for each in (outside, file):
        each.write_text(written().text)
    subprocess.run(["mount", "--bind", outside, file], check=True)
    try:
        assert set_mode(file, "production") == "emulated"
        assert parsed(outside.read_text()).mode == "production"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["generator.toml", "outside.toml"]
    finally:
        subprocess.run(["umount", file], check=True)
