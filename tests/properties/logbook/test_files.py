"""Log files of any content: paging gives the whole list in order, whatever was written, rotated or asked for."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor.loggers import RotatingFileHandler

from fleetgen.logbook.files import LogFiles
from fleetgen.logbook.lines import LEVELS
from support.log_folders import PROCESSES, Said, append, at, bytes_read, paged, rotate, said, texts, write


def in_order(lines: list[Said]) -> list[str]:
    """The naive reference for lines whose process wrote them in the order of their times: newest first."""
    places = range(len(lines))
    return [
        lines[place].text
        for place in sorted(places, key=lambda at: (lines[at].milliseconds, lines[at].process, at), reverse=True)
    ]


@contextmanager
def folder_of(lines: list[Said], cuts: list[int]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for process in {line.process for line in lines}:
            content = b"".join(line.raw for line in lines if line.process == process)
            write(Path(name), process, content, cuts)
        yield Path(name)


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


def void(_: object) -> None:
    """Drop a value."""


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
