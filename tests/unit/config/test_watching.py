"""How an edit of the configuration is noticed: real files, and the present as a parameter."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetgen.config.loading import load
from fleetgen.config.watching import ConfigWatch, Edit, keep_as_last_good, load_or_last_good
from fleetgen.domain.records import SECOND
from fleetgen.errors import ConfigurationError
from support.configs import set_folder, written
from support.edits import replace_by_rename

MS = SECOND // 1000
VALID = written().text
OTHER = written({"mode": '"production"'}).text
INVALID = written({"mode": '"nonsense"'}).text


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return set_folder(tmp_path, VALID)


@pytest.fixture
def watch(file: Path) -> ConfigWatch:
    return ConfigWatch(file)


def looks(watch: ConfigWatch, since: int, until: int, step: int = 10 * MS) -> list[tuple[int, Edit]]:
    """Look again and again; return what was told, and when."""
    answers = [(at, watch.look(at)) for at in range(since, until + 1, step)]
    return [(at, edit) for at, edit in answers if edit is not None]


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


WAYS: dict[str, Callable[[Path, str], None]] = {"in place": in_place, "by rename": replace_by_rename}
each_way = pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)


def test_nothing_is_told_while_nothing_changes(watch: ConfigWatch) -> None:
    assert looks(watch, 0, 2 * SECOND) == []
    assert watch.look_again_at() is None


@each_way
def test_a_valid_edit_is_told_once_and_at_once(
    file: Path, watch: ConfigWatch, write: Callable[[Path, str], None]
) -> None:
    write(file, OTHER)
    ((at, edit),) = looks(watch, 0, 2 * SECOND)
    assert at == 0
    assert edit.fault is None
    assert edit.loaded is not None
    assert edit.loaded.config.mode == "production"


@each_way
def test_an_invalid_edit_is_told_once_after_300_milliseconds(
    file: Path, watch: ConfigWatch, write: Callable[[Path, str], None]
) -> None:
    write(file, INVALID)
    ((at, edit),) = looks(watch, 0, 5 * SECOND)
    assert at == 300 * MS
    assert edit.loaded is None
    assert edit.fault is not None
    assert "nonsense" in edit.fault


def test_while_an_edit_is_invalid_the_watch_asks_to_be_looked_at_when_its_patience_ends(
    file: Path, watch: ConfigWatch
) -> None:
    file.write_text(INVALID)
    assert watch.look(1000) is None
    assert watch.look_again_at() == 1000 + 300 * MS
    assert watch.look(1000 + 300 * MS) is not None
    assert watch.look_again_at() is None


def test_an_invalid_edit_that_is_corrected_in_time_is_never_told(file: Path, watch: ConfigWatch) -> None:
    file.write_text(INVALID)
    assert looks(watch, 0, 290 * MS) == []
    file.write_text(OTHER)
    ((at, edit),) = looks(watch, 299 * MS, 5 * SECOND)
    assert (at, edit.fault) == (299 * MS, None)


def test_an_invalid_edit_that_is_corrected_later_is_told_and_so_is_its_correction(
    file: Path, watch: ConfigWatch
) -> None:
    file.write_text(INVALID)
    ((_, wrong),) = looks(watch, 0, SECOND)
    file.write_text(VALID)
    ((_, right),) = looks(watch, SECOND, 2 * SECOND)
    assert wrong.loaded is None
    assert right.loaded is not None


def test_another_invalid_edit_is_told_anew_after_a_patience_of_its_own(file: Path, watch: ConfigWatch) -> None:
    file.write_text(INVALID)
    assert looks(watch, 0, 200 * MS) == []
    file.write_text("mode =")
    ((at, edit),) = looks(watch, 210 * MS, 3 * SECOND)
    assert at == 510 * MS
    assert edit.fault is not None
    assert "no valid TOML" in edit.fault


def test_an_editor_that_empties_the_file_and_writes_200_milliseconds_later_is_never_invalid(
    file: Path, watch: ConfigWatch
) -> None:
    told: list[tuple[int, Edit]] = []
    for number in range(10):
        began = number * SECOND
        file.write_text("")
        told += looks(watch, began, began + 190 * MS)
        file.write_text((VALID, OTHER)[number % 2])
        told += looks(watch, began + 200 * MS, began + 990 * MS)
    assert [at for at, _ in told] == [number * SECOND + 200 * MS for number in range(10)]
    assert all(edit.fault is None for _, edit in told)


def test_a_file_written_line_by_line_is_told_once_as_it_is_in_the_end(file: Path, watch: ConfigWatch) -> None:
    lines = OTHER.splitlines(keepends=True)
    told: list[tuple[int, Edit]] = []
    for count in range(len(lines) + 1):
        file.write_text("".join(lines[:count]))
        told += [(count, edit) for edit in [watch.look(count * 5 * MS)] if edit is not None]
    assert all(edit.fault is None for _, edit in told)
    assert told[-1][1].loaded == load(file)
    assert looks(watch, SECOND, 3 * SECOND) == []


def test_a_deleted_file_is_told_after_300_milliseconds_and_its_return_at_once(file: Path, watch: ConfigWatch) -> None:
    file.unlink()
    ((at, gone),) = looks(watch, 0, 2 * SECOND)
    assert at == 300 * MS
    assert gone.fault is not None
    assert str(file) in gone.fault
    file.write_text(VALID)
    ((at, back),) = looks(watch, 3 * SECOND, 5 * SECOND)
    assert (at, back.fault) == (3 * SECOND, None)


def test_a_file_that_is_gone_for_a_moment_only_is_never_told_as_missing(file: Path, watch: ConfigWatch) -> None:
    file.unlink()
    assert looks(watch, 0, 200 * MS) == []
    file.write_text(VALID)
    assert [edit.fault for _, edit in looks(watch, 210 * MS, 2 * SECOND)] == [None]


def test_a_touch_is_told_at_most_once_and_changes_nothing(file: Path, watch: ConfigWatch) -> None:
    before = load(file)
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + SECOND * 1000))
    told = looks(watch, 0, 2 * SECOND)
    assert len(told) <= 1
    assert all(edit == Edit(before, None) for _, edit in told)


def test_an_edit_of_the_same_length_is_noticed(file: Path, watch: ConfigWatch) -> None:
    text = written({"seed": "43"}).text
    assert len(text) == len(VALID)
    replace_by_rename(file, text)
    ((_, edit),) = looks(watch, 0, SECOND)
    assert edit.loaded is not None
    assert edit.loaded.config.seed == 43


@pytest.mark.parametrize("jump", [-3600 * SECOND, 3600 * SECOND], ids=["back", "forth"])
def test_a_clock_that_is_set_while_an_edit_is_invalid_does_not_silence_it(
    file: Path, watch: ConfigWatch, jump: int
) -> None:
    start = 7200 * SECOND
    file.write_text(INVALID)
    assert watch.look(start) is None
    assert len(looks(watch, start + jump, start + jump + SECOND)) == 1


def test_an_edit_made_through_a_link_is_noticed(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    watch = ConfigWatch(link)
    replace_by_rename(file, OTHER)
    assert [edit.fault for _, edit in looks(watch, 0, SECOND)] == [None]


def test_the_last_good_configuration_is_used_while_the_file_is_invalid(file: Path) -> None:
    loaded = load(file)
    loaded.run.mkdir(parents=True)
    keep_as_last_good(loaded)
    file.write_text(INVALID)
    kept, fault = load_or_last_good(file, loaded.run)
    assert kept.config == loaded.config
    assert (kept.layout, kept.run) == (loaded.layout, loaded.run)
    assert fault is not None
    assert "nonsense" in fault
    file.write_text(OTHER)
    newer, fault = load_or_last_good(file, loaded.run)
    assert (newer.config.mode, fault) == ("production", None)


def test_without_a_last_good_configuration_an_invalid_file_is_refused(tmp_path: Path, file: Path) -> None:
    file.write_text(INVALID)
    for run in (None, tmp_path / "run"):
        with pytest.raises(ConfigurationError, match="nonsense"):
            load_or_last_good(file, run)


@pytest.mark.parametrize("text", ["", INVALID, None], ids=["emptied", "invalid", "deleted"])
def test_what_is_kept_as_last_good_is_what_was_found_valid_whatever_the_file_has_become(
    file: Path, text: str | None
) -> None:
    loaded = load(file)
    loaded.run.mkdir(parents=True)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    keep_as_last_good(loaded)
    kept, fault = load_or_last_good(file, loaded.run)
    assert kept.config == loaded.config
    assert fault is not None


@each_way
def test_an_edit_that_keeps_size_and_times_is_told(
    file: Path, watch: ConfigWatch, write: Callable[[Path, str], None]
) -> None:
    before = file.stat()
    write(file, VALID.replace("seed = 42", "seed = 43"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    ((_, edit),) = looks(watch, 0, SECOND)
    assert edit.loaded is not None
    assert edit.loaded.config.seed == 43
