"""How log lines of several processes become one sequence."""

from pathlib import Path

from fleetgen.cli.logs import ripened
from fleetgen.logbook.files import LogFiles
from fleetgen.logbook.lines import LogLine
from support.log_folders import append, said, texts


def lines(folder: Path, process: str, *times: int) -> list[LogLine]:
    """Return the lines that a process wrote at these milliseconds, oldest first."""
    folder.mkdir(exist_ok=True)
    append(folder, said(process, list(times)))
    return LogFiles(folder, [process]).newest(100).lines[::-1]


def test_a_line_waits_for_one_more_look(tmp_path: Path) -> None:
    first = lines(tmp_path, "driver", 1, 2)
    assert ripened([], first) == ([], first)
    assert ripened(first, []) == (first, [])


def test_what_another_process_wrote_at_the_same_time_takes_its_place(tmp_path: Path) -> None:
    waiting, later = lines(tmp_path, "driver", 10, 30), lines(tmp_path, "company", 5, 20, 40)
    ripe, rest = ripened(waiting, later)
    assert texts(ripe) == ["company 0", "driver 0", "company 1", "driver 1"]
    assert texts(rest) == ["company 2"]


def test_at_the_same_moment_the_name_decides(tmp_path: Path) -> None:
    waiting, later = lines(tmp_path, "driver", 10), lines(tmp_path, "company", 10)
    assert texts(ripened(waiting, later)[0]) == ["company 0", "driver 0"]
