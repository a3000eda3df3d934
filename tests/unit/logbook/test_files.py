"""The log reader: what a page holds, and that paging loses and repeats nothing, whatever happens to the files."""

import json
import os
from pathlib import Path

import pytest

from fleetgen.errors import UsageError
from fleetgen.logbook.files import LogFiles, and_worse
from support.log_folders import Said, append, at, bytes_read, paged, rotate, said, texts, write


def test_since_and_paging_back_meet_without_a_gap(tmp_path: Path) -> None:
    append(tmp_path, said("driver", list(range(10))))
    logs = LogFiles(tmp_path)
    since = logs.newest(1).next_since
    append(tmp_path, said("driver", list(range(10, 30)), name="later "))
    newest = logs.newest(15, since=since)
    rest = logs.newest(15, since=since, before=newest.next_before)
    assert texts(newest.lines + rest.lines) == [f"driver later {number}" for number in range(19, -1, -1)]
    assert rest.next_before is None


def test_where_nothing_has_come_since_stays(tmp_path: Path) -> None:
    append(tmp_path, said("driver", [1, 2]))
    logs = LogFiles(tmp_path)
    since = logs.newest(1).next_since
    assert logs.newest(1, since=since).next_since == since
    assert logs.newest(1, since="2027-01-01T00:00:00Z").next_since == "2027-01-01T00:00:00Z"


def test_no_logs_are_an_empty_page(tmp_path: Path) -> None:
    page = LogFiles(tmp_path / "missing").newest(5)
    assert (page.lines, page.next_since, page.next_before) == ([], None, None)


def test_a_timestamp_may_have_any_offset_and_fewer_digits(tmp_path: Path) -> None:
    append(tmp_path, said("driver", [0, 1000, 2000]))
    logs = LogFiles(tmp_path)
    assert texts(logs.newest(5, before="2026-01-01T02:00:01+02:00").lines) == ["driver 0"]
    assert texts(logs.newest(5, since="2026-01-01T00:00:01Z").lines) == ["driver 2"]


@pytest.mark.parametrize("step", [5, 900])
def test_threads_that_write_in_another_order_than_they_read_the_clock_do_not_blur_bounds(
    tmp_path: Path, step: int
) -> None:
    times = [time for pair in range(1, 400) for time in (pair * 1000 + step, pair * 1000)]
    append(tmp_path, said("control", times))
    logs = LogFiles(tmp_path)
    for bound in (200_000, 200_001, 200_000 + step):
        later = {time for time in times if time > bound}
        assert {line.timestamp for line in logs.newest(1000, since=at(bound)).lines} == {at(time) for time in later}
        earlier = {time for time in times if time < bound}
        assert {line.timestamp for line in logs.newest(1000, before=at(bound)).lines} == {at(time) for time in earlier}


def test_an_unfinished_line_is_not_there_until_it_is_whole(tmp_path: Path) -> None:
    first, second = said("driver", [1, 2])
    path = tmp_path / "driver.jsonl"
    path.write_bytes(first.raw + second.raw[:-1])
    logs = LogFiles(tmp_path)
    page = logs.newest(5)
    assert texts(page.lines) == [first.text]
    with path.open("ab") as file:
        file.write(b"\n")
    assert texts(logs.newest(5, since=page.next_since).lines) == [second.text]


def test_a_line_cut_by_rotation_is_one_line(tmp_path: Path) -> None:
    first, second = said("driver", [1, 2])
    write(tmp_path, "driver", first.raw + second.raw, [len(first.raw) + 20])
    assert paged(LogFiles(tmp_path), 1) == [second.text, first.text]


def test_words_of_a_library_have_the_time_of_the_line_before(tmp_path: Path) -> None:
    first, second = said("driver", [1, 2])
    content = b"banner\n" + first.raw + b"Traceback:\n\n  \xff oops\n[1, 2]\n" + second.raw
    (tmp_path / "driver.jsonl").write_bytes(content)
    lines = LogFiles(tmp_path).newest(9).lines
    assert [(line.timestamp, line.event) for line in lines] == [
        (at(2), second.text),
        (at(1), "[1, 2]"),
        (at(1), "  � oops"),
        (at(1), "Traceback:"),
        (at(1), first.text),
        (at(1), "banner"),
    ]
    assert {(line.level, line.logger) for line in lines} == {("info", "driver")}
    assert all(isinstance(json.loads(line.as_json), dict) for line in lines)
    assert paged(LogFiles(tmp_path), 2) == texts(lines)


def test_a_log_without_any_time_can_be_paged(tmp_path: Path) -> None:
    (tmp_path / "driver.jsonl").write_bytes(b"one\ntwo\nthree\n")
    assert paged(LogFiles(tmp_path), 1) == ["three", "two", "one"]


def test_a_line_behind_one_that_a_crash_tore_is_read(tmp_path: Path) -> None:
    first, second = said("driver", [1, 2])
    (tmp_path / "driver.jsonl").write_bytes(first.raw[:60] + second.raw)
    (line,) = LogFiles(tmp_path).newest(9).lines
    assert (line.event, line.extra) == (second.text, {"kind": "test", "torn": first.raw[:60].decode()})


def test_extra_is_fit_for_strict_json(tmp_path: Path) -> None:
    fields = '"a": NaN, "b": 1e999, "c": "\\ud800", "d": "\\ud83d\\ude00", "e": {"f": -Infinity}'
    raw = f'{{"timestamp": "{at(1)}", "level": "info", "logger": "driver", "event": "x", {fields}}}\n'
    (tmp_path / "driver.jsonl").write_text(raw)
    (line,) = LogFiles(tmp_path).newest(1).lines
    assert line.extra == {"a": "NaN", "b": "1e999", "c": "�", "d": "😀", "e": {"f": "-Infinity"}}
    json.dumps(line.extra, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"timestamp": "2026-13-45T99:00:00.000000Z"}', b"\x00" * 50])
def test_any_bytes_are_a_line_that_can_be_paged_over(tmp_path: Path, content: bytes) -> None:
    first, second = said("driver", [1, 2])
    (tmp_path / "driver.jsonl").write_bytes(first.raw + content + b"\n" + content + b"\n" + second.raw)
    assert len(paged(LogFiles(tmp_path), 1)) == 4


def test_a_huge_line_is_read_a_few_times_at_most(tmp_path: Path) -> None:
    huge = Said("driver", 2, "info", "x" * 10_000_000)
    lines = [Said("driver", 1, "info", "before"), huge, Said("driver", 3, "info", "after")]
    append(tmp_path, lines)
    logs = LogFiles(tmp_path)
    assert bytes_read(lambda: texts(logs.newest(9).lines)) < 5 * len(huge.raw)
    assert paged(logs, 1) == ["after", huge.text, "before"]
    assert texts(logs.newest(1, before=at(2)).lines) == ["before"]


def test_a_log_that_was_emptied_shows_what_came_after(tmp_path: Path) -> None:
    append(tmp_path, said("driver", list(range(50))))
    rotate(tmp_path, "driver")
    append(tmp_path, said("driver", list(range(50, 60))))
    logs = LogFiles(tmp_path)
    page = logs.newest(5)
    (tmp_path / "driver.jsonl").unlink()
    append(tmp_path, said("driver", [70, 71], name="new "))
    assert texts(logs.newest(9, since=page.next_since).lines) == ["driver new 1", "driver new 0"]
    assert len(logs.newest(1000, before=page.next_before).lines) == 50
    os.truncate(tmp_path / "driver.jsonl", 0)
    append(tmp_path, said("driver", [80], name="newest "))
    assert texts(logs.newest(1).lines) == ["driver newest 0"]


def test_a_cursor_into_a_file_that_was_emptied_in_place_misses_nothing(tmp_path: Path) -> None:
    append(tmp_path, said("driver", list(range(50))))
    logs = LogFiles(tmp_path)
    since = logs.newest(1).next_since
    os.truncate(tmp_path / "driver.jsonl", 0)
    append(tmp_path, said("driver", list(range(100, 200))))
    assert len(logs.newest(1000, since=since).lines) == 100


def test_what_was_rotated_away_is_gone_and_nothing_repeats(tmp_path: Path) -> None:
    for number in range(6):
        append(tmp_path, said("driver", list(range(number * 10, number * 10 + 10)), name=f"{number} "))
        rotate(tmp_path, "driver")
    logs = LogFiles(tmp_path)
    page = logs.newest(55)
    (tmp_path / "driver.jsonl.6").unlink()
    assert logs.newest(9, before=page.next_before).lines == []
    assert page.next_before is not None
    older = page.next_before.split("~")[0]
    assert logs.newest(9, before=older).next_before is None


def test_files_that_rotation_brings_in_front_of_those_already_opened_are_left_for_later(tmp_path: Path) -> None:
    """What a slow reader meets while the files are rotated twice, held still by a second name of the newest."""
    older, newest, newer = (
        said("driver", [0, 1], name="older "),
        said("driver", [10]),
        said("driver", [20], name="newer "),
    )
    append(tmp_path, newest)
    (tmp_path / "driver.jsonl.1").write_bytes(newer[0].raw)
    (tmp_path / "driver.jsonl.2").hardlink_to(tmp_path / "driver.jsonl")
    (tmp_path / "driver.jsonl.3").write_bytes(b"".join(line.raw for line in older))
    assert texts(LogFiles(tmp_path).newest(9).lines) == ["driver 0", "driver older 1", "driver older 0"]


def test_the_index_is_extended_by_what_is_new_only(tmp_path: Path) -> None:
    append(tmp_path, said("driver", list(range(20_000))))
    logs = LogFiles(tmp_path)
    while not logs.extend_index(100_000):
        pass
    append(tmp_path, said("driver", [30_000]))
    assert bytes_read(logs.extend_index) < 2000


def test_the_index_knows_lines_that_start_where_a_block_does(tmp_path: Path) -> None:
    padded = [Said("driver", number, "error" if number % 128 == 0 else "info", "").raw for number in range(1000)]
    (tmp_path / "driver.jsonl").write_bytes(b"".join(raw[:-2] + b" " * (128 - len(raw)) + b"}\n" for raw in padded))
    logs = LogFiles(tmp_path)
    assert logs.extend_index()
    found = [line.timestamp for line in logs.newest(9, levels=["error"]).lines]
    assert found == [at(number) for number in range(896, -1, -128)]


def test_the_index_covers_a_line_of_many_blocks(tmp_path: Path) -> None:
    append(tmp_path, [Said("driver", 1, "error", "first"), Said("driver", 2, "info", "x" * 100_000)])
    logs = LogFiles(tmp_path)
    assert logs.extend_index()
    assert texts(logs.newest(9, levels=["error"]).lines) == ["first"]


def test_the_index_of_an_emptied_file_is_dropped(tmp_path: Path) -> None:
    append(tmp_path, said("driver", list(range(1000))))
    logs = LogFiles(tmp_path)
    assert logs.extend_index()
    os.truncate(tmp_path / "driver.jsonl", 0)
    later = said("driver", list(range(2000, 3010)), ["error"] + ["info"] * 1009)
    append(tmp_path, later)
    assert texts(logs.newest(9, levels=["error"]).lines) == [later[0].text]


def test_only_the_named_processes_are_read(tmp_path: Path) -> None:
    append(tmp_path, said("driver", [1]) + said("company", [2]))
    (tmp_path / "notes.txt").write_text("no log\n")
    assert texts(LogFiles(tmp_path, ["driver"]).newest(5).lines) == ["driver 0"]
    assert LogFiles(tmp_path).processes() == ["company", "driver"]


@pytest.mark.parametrize("bound", ["since", "before"])
@pytest.mark.parametrize(
    "value",
    [
        "", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "12",
        "2026-01-01T00:00:00Z~", "2026-01-01T00:00:00Z~driver.zz.0.1", "2026-01-01T00:00:00Z~../../x.1.1.1",
        "0001-01-01T00:00:00+10:00",
    ],
)  # fmt: skip
def test_a_bad_bound_is_refused_with_what_is_allowed(tmp_path: Path, bound: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^{bound} is .* allowed are a timestamp with a zone, such as"):
        LogFiles(tmp_path).newest(5, **{bound: value})


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_bad_limit_is_refused_with_what_is_allowed(tmp_path: Path, limit: int) -> None:
    with pytest.raises(UsageError, match="allowed are 1 to 1000"):
        LogFiles(tmp_path).newest(limit)


@pytest.mark.parametrize("levels", [["loud"], ["info", ""], []])
def test_a_bad_level_is_refused_with_what_is_allowed(tmp_path: Path, levels: list[str]) -> None:
    with pytest.raises(UsageError, match="allowed are debug, info, warning, error, critical"):
        LogFiles(tmp_path).newest(5, levels=levels)


def test_levels_are_compared_whatever_their_case(tmp_path: Path) -> None:
    append(tmp_path, said("driver", [1, 2, 3], ["info", "Error", "warning"]))
    assert texts(LogFiles(tmp_path).newest(5, levels=["ERROR"]).lines) == ["driver 1"]
    assert and_worse("warning") == ["warning", "error", "critical"]


def test_instants_at_the_ends_of_the_calendar_are_bounds_too(tmp_path: Path) -> None:
    append(tmp_path, said("driver", [1]))
    logs = LogFiles(tmp_path)
    assert len(logs.newest(5, since="0001-01-01T00:00:00Z", before="9999-12-31T23:59:59.999999Z").lines) == 1
