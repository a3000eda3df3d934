"""How what a page shows is compared with what is shown: what may be another each time may differ, and nothing else."""

from pathlib import Path

import pytest

from support.documented import Block, blocks, differs, is_among, steps

SHOWN = [" stream  batches", " events       12", "Paused at 2026-01-01T00:00:00Z: …", "…", "The end."]


@pytest.mark.parametrize(
    ("printed", "exact", "same"),
    [
        (["stream batches", "events 3", "Paused at 2027-05-05T01:02:03.5Z: lunch", "The end."], False, True),
        (
            ["stream batches", "events 12", "Paused at 2026-01-01T00:00:00Z: lunch", "one", "two", "The end."],
            True,
            True,
        ),
        (["stream batches", "events 3", "Paused at 2026-01-01T00:00:00Z: lunch", "The end."], True, False),
        (["stream batches", "companies 12", "Paused at 2026-01-01T00:00:00Z: lunch", "The end."], False, False),
        (["stream batches", "events 12", "Paused at 2026-01-01T00:00:00Z: lunch"], False, False),
        (["stream batches", "events 12", "Paused: lunch", "The end."], False, False),
        (["stream batches", "events 12", "Paused at 2026-01-01T00:00:00Z: lunch", "The end.", "more"], False, False),
    ],
)
def test_only_what_varies_may_differ(printed: list[str], exact: bool, same: bool) -> None:
    assert (differs(SHOWN, printed, exact) == "") is same


def test_a_line_is_looked_for_as_a_whole() -> None:
    assert is_among("09:00:01  driver  Driver batch 3: … events", ["x", "10:11:12 driver Driver batch 44: 7 events"])
    assert not is_among("driver batch 3", ["10:11:12 driver batch 3"])


def test_commands_take_the_lines_that_a_shell_wants_and_blocks_what_is_said_above_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: why -->\n```sh\nno\n```\n\n```console\n$ cat <<'E'\nin\nE\nin\n$ echo \\\n  b\nb\n```\n"
    )
    unread, read = blocks(page)
    assert (unread.mark, unread.says, read.mark) == ("not run", "why", "")
    first, second = steps(read)
    assert (first.command, first.shown) == ("cat <<'E'\nin\nE", ("in",))
    assert (second.command, second.shown, second.line) == ("echo \\\n  b", ("b",), 11)
    with pytest.raises(AssertionError, match="shown by no command"):
        list(steps(Block("console", "output alone\n", 1)))
