"""The log reader: what a page holds, and that paging loses and repeats nothing, whatever happens to the files."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor.loggers import RotatingFileHandler

from fleetgen.errors import UsageError
from fleetgen.logbook.files import LogFiles, and_worse
from fleetgen.logbook.lines import LEVELS, LogLine

START = datetime(2026, 1, 1, tzinfo=UTC)
PROCESSES = ("company", "control", "driver")


def at(milliseconds: int) -> str:
    return f"{START + timedelta(milliseconds=milliseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass(frozen=True)
class Said:
    """One line that a process wrote: when, how bad, and a text that no other line has."""

    process: str
    milliseconds: int
    level: str
    text: str

    @property
    def raw(self) -> bytes:
        first = {"timestamp": at(self.milliseconds), "level": self.level, "logger": self.process, "event": self.text}
        return json.dumps({**first, "kind": "test"}).encode() + b"\n"


def said(process: str, times: list[int], levels: list[str] | None = None, name: str = "") -> list[Said]:
    chosen = levels or ["info"] * len(times)
    return [
        Said(process, time, level, f"{process} {name}{number}")
        for number, (time, level) in enumerate(zip(times, chosen, strict=True))
    ]


def write(folder: Path, process: str, content: bytes, cuts: list[int]) -> None:
    """Write one process's files, cut at these bytes: in the middle of lines too, as supervisord does."""
    edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        place = len(edges) - 2 - number
        (folder / (f"{process}.jsonl" + (f".{place}" if place else ""))).write_bytes(content[start:stop])


def rotate(folder: Path, process: str, keep: int = 100) -> None:
    """Rename the files as supervisord does, and begin a new one."""
    for place in range(keep, 0, -1):
        older = folder / f"{process}.jsonl.{place}"
        newer = folder / (f"{process}.jsonl" + (f".{place - 1}" if place > 1 else ""))
        if newer.exists():
            newer.rename(older)
    (folder / f"{process}.jsonl").touch()


def append(folder: Path, lines: list[Said]) -> None:
    for line in lines:
        with (folder / f"{line.process}.jsonl").open("ab") as file:
            file.write(line.raw)


def in_order(lines: list[Said]) -> list[str]:
    """The naive reference for lines whose process wrote them in the order of their times: newest first."""
    places = range(len(lines))
    return [
        lines[place].text
        for place in sorted(places, key=lambda at: (lines[at].milliseconds, lines[at].process, at), reverse=True)
    ]


def texts(lines: list[LogLine]) -> list[str]:
    return [line.event for line in lines]


def paged(
    logs: LogFiles, limit: int, between: Callable[[], None] = lambda: None, levels: list[str] | None = None
) -> list[str]:
    """All lines, page by page, backwards."""
    page = logs.newest(limit, levels=levels)
    found = texts(page.lines)
    while page.next_before is not None:
        between()
        page = logs.newest(limit, before=page.next_before, levels=levels)
        assert page.lines, "a page that was announced is empty"
        found += texts(page.lines)
        assert len(found) <= 300, "lines repeat without end"
    return found


@contextmanager
def folder_of(lines: list[Said], cuts: list[int]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for process in {line.process for line in lines}:
            content = b"".join(line.raw for line in lines if line.process == process)
            write(Path(name), process, content, cuts)
        yield Path(name)


def bytes_read(work: Callable[[], object]) -> int:
    def count() -> int:
        return int(Path("/proc/thread-self/io").read_text().split()[1])

    own = count()
    own = count() - own
    before = count()
    work()
    return count() - before - own


few_times = st.lists(st.integers(0, 12), max_size=25).map(sorted)  # so few that many are equal
any_times = st.lists(st.integers(0, 100_000), max_size=25)  # as of a clock that is set back at will
cuts = st.lists(st.integers(0, 3000), max_size=4, unique=True)
limits = st.integers(1, 30)


@st.composite
def sets(draw: st.DrawFn, times: st.SearchStrategy[list[int]] = few_times) -> list[Said]:
    """Lines of several processes."""
    lines = []
    for process in PROCESSES:
        chosen = draw(times)
        levels = draw(st.lists(st.sampled_from(LEVELS), min_size=len(chosen), max_size=len(chosen)))
        lines += said(process, chosen, levels)
    return lines


@settings(deadline=None)
@given(lines=sets(), cuts=cuts, limit=limits)
def test_any_paging_is_the_whole_list_in_order(lines: list[Said], cuts: list[int], limit: int) -> None:
    with folder_of(lines, cuts) as folder:
        assert paged(LogFiles(folder), limit) == in_order(lines)


@settings(deadline=None)
@given(lines=sets(any_times), cuts=cuts, limit=limits)
def test_paging_is_exact_where_the_clock_was_set_back(lines: list[Said], cuts: list[int], limit: int) -> None:
    with folder_of(lines, cuts) as folder:
        found = paged(LogFiles(folder), limit)
    for process in PROCESSES:
        own = [line.text for line in lines if line.process == process]
        assert [text for text in found if text.startswith(process)] == own[::-1]


@settings(deadline=None)
@given(lines=sets(), cuts=cuts, limit=limits, low=st.integers(-1, 13), high=st.integers(-1, 13), data=st.data())
@pytest.mark.parametrize("indexed", [False, True])
def test_bounds_and_levels_are_exact(
    indexed: bool, lines: list[Said], cuts: list[int], limit: int, low: int, high: int, data: st.DataObject
) -> None:
    levels = data.draw(st.none() | st.lists(st.sampled_from(LEVELS), min_size=1))
    wanted = [line for line in lines if low < line.milliseconds < high and (levels is None or line.level in levels)]
    with folder_of(lines, cuts) as folder:
        logs = LogFiles(folder)
        assert not indexed or logs.extend_index()
        page = logs.newest(limit, since=at(low), before=at(high), levels=levels)
        assert texts(page.lines) == in_order(wanted)[:limit]
        assert (page.next_before is None) == (len(wanted) <= limit)


@settings(deadline=None)
@given(lines=sets(), later=sets(), cuts=cuts, limit=limits, rotated=st.lists(st.sampled_from(PROCESSES)))
def test_lines_and_rotation_between_two_pages_change_nothing(
    lines: list[Said], later: list[Said], cuts: list[int], limit: int, rotated: list[str]
) -> None:
    coming = [Said(line.process, line.milliseconds, line.level, f"later {line.text}") for line in later]
    with folder_of(lines, cuts) as folder:

        def between() -> None:
            append(folder, coming[:5])
            del coming[:5]
            if rotated:
                rotate(folder, rotated.pop())

        assert paged(LogFiles(folder), limit, between) == in_order(lines)


@settings(deadline=None)
@given(lines=sets(any_times), cuts=cuts, steps=st.lists(st.integers(0, 10)), rotated=st.lists(st.booleans()))
def test_asking_for_what_came_since_gives_every_line_once(
    lines: list[Said], cuts: list[int], steps: list[int], rotated: list[bool]
) -> None:
    """Late lines too: one that bears an earlier time than the newest that was seen."""
    coming, found, since = list(lines), list[str](), None
    with folder_of([], cuts) as folder:
        logs = LogFiles(folder)
        for step in [*steps, len(coming)]:
            append(folder, coming[:step])
            del coming[:step]
            if rotated and rotated.pop():
                rotate(folder, "driver")
            page = logs.newest(1000, since=since)
            found += texts(page.lines)
            since = page.next_since
    assert Counter(found) == Counter(line.text for line in lines)


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


def test_a_writer_that_rotates_meanwhile_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """By supervisord's own handler, hundreds of files in a second."""
    lines = said("driver", list(range(4000)))

    def run() -> None:
        handler = RotatingFileHandler(str(tmp_path / "driver.jsonl"), maxBytes=1500, backupCount=1000)
        for line in lines:
            for half in (line.raw[:30], line.raw[30:]):
                handler.stream.write(half)
                handler.stream.flush()
                handler.doRollover()
        handler.close()

    writer = Thread(target=run)
    logs, found, since, ended = LogFiles(tmp_path), list[str](), None, False
    writer.start()
    while not ended:
        ended = not writer.is_alive()
        page = logs.newest(1000, since=since)
        new, since_next = texts(page.lines), page.next_since
        while page.next_before is not None:
            page = logs.newest(1000, since=since, before=page.next_before)
            new += texts(page.lines)
        found += new[::-1]
        since = since_next
    assert found == [line.text for line in lines]


@settings(deadline=None, max_examples=30)
@given(rare=st.lists(st.integers(0, 2999), unique=True, max_size=12), budget=st.integers(1000, 200_000), data=st.data())
def test_the_index_changes_no_answer(rare: list[int], budget: int, data: st.DataObject) -> None:
    """Over many blocks and files, in whatever steps it is built and whatever is appended meanwhile."""
    levels = ["ERROR" if number in rare else "info" for number in range(3000)]
    lines = said("driver", list(range(3000)), levels)
    cut = data.draw(st.lists(st.integers(0, 400_000), max_size=3, unique=True))
    with folder_of(lines[:2000], cut) as folder:
        logs = LogFiles(folder)
        for _ in range(data.draw(st.integers(0, 6))):
            logs.extend_index(budget)
        append(folder, lines[2000:])
        expected = [f"driver {number}" for number in sorted(rare, reverse=True)]
        assert paged(logs, 4, lambda: void(logs.extend_index(budget)), ["error"]) == expected


def void(_: object) -> None:
    """Drop a value."""


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


def test_the_cost_of_a_page_does_not_grow_with_the_logs(tmp_path: Path) -> None:
    """In bytes read: the newest lines, lines far back, a level that is nowhere."""
    costs = []
    for count in (10_000, 100_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for process in PROCESSES:
            content = b"".join(line.raw for line in said(process, [50 * number for number in range(count)]))
            write(folder, process, content, [len(content) // 3, len(content) // 2])
        logs = LogFiles(folder)
        while not logs.extend_index():
            pass
        before = at(50 * count // 7)
        costs.append(
            [
                bytes_read(lambda logs=logs: logs.newest(100)),  # type: ignore[misc]
                bytes_read(lambda logs=logs, before=before: logs.newest(100, before=before)),  # type: ignore[misc]
                bytes_read(lambda logs=logs: logs.newest(100, levels=["error"])),  # type: ignore[misc]
            ]
        )
    small, large = costs
    assert all(later < 1.5 * former + 10_000 for former, later in zip(small, large, strict=True)), costs
    assert max(large) < 1_000_000, costs  # of 40 MB


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
