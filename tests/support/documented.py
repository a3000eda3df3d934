"""Owns what a page of the docs says is typed and shown: its blocks, in their order, and comparing what is shown.

A comment above a block that a reader of the page does not see says what a block cannot say of itself:

- ``<!-- not run: why -->``: it stands there to be read;
- ``<!-- file: name -->``: it is to be saved under this name.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_MARK = re.compile(r"<!-- (not run|file): (.+?) -->\s*", re.DOTALL)
_PROMPT = "$ "
_ANYTHING = "…"

_VARYING = [
    (re.compile(pattern), token)
    for pattern, token in (
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00)?", "TIME"),
        (r"\b\d{8}T\d{6}Z\b", "BATCH"),
        (r"\b[0-9a-f]{32,64}\b", "HASH"),
        (r"\b\d\d:\d\d:\d\d\b", "CLOCK"),
        (r"\bbatches \d+ to \d+\b", "batch N"),
        (r"\b(start driving|stopped driving|delivered)\b", "TYPE"),
        (r"((?<![\w-])-)?\d[\d,]*(\.\d+)?(e-?\d+)?", "N"),
        (r"(?<=N )(KB|MB|GB|bytes|ms|s|min|h)\b", "UNIT"),
    )
]
"""What is another each time; that it stands there is compared."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, the line on which it begins, and what the comment above it says."""

    language: str
    text: str
    line: int
    mark: str = ""
    says: str = ""


@dataclass(frozen=True)
class Step:
    """A command, which may have several lines, and the lines that it shows; None where the page shows none."""

    command: str
    shown: tuple[str, ...] | None
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page from top to bottom."""
    mark = says = ""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "html_block" and (found := _MARK.fullmatch(token.content)):
            mark, says = found.groups()
        elif token.type == "fence" and token.map is not None:
            yield Block(token.info.strip(), token.content, token.map[0] + 2, mark, says)
            mark = says = ""


def steps(block: Block) -> Iterator[Step]:
    """Yield what is typed in a block, and what it says is shown after each command of a ``console`` block."""
    lines = block.text.splitlines()
    place = 0
    while place < len(lines):
        begun = place
        if block.language == "sh":
            command, place = _whole_command(lines, place, lines[place])
            if command.strip():
                yield Step(command, None, block.line + begun)
            continue
        assert lines[place].startswith(_PROMPT), f"line {block.line + place} is shown by no command: {lines[place]!r}"
        command, place = _whole_command(lines, place, lines[place].removeprefix(_PROMPT))
        shown = []
        while place < len(lines) and not lines[place].startswith(_PROMPT):
            shown.append(lines[place])
            place += 1
        yield Step(command, tuple(shown), block.line + begun)


def _whole_command(lines: Sequence[str], place: int, command: str) -> tuple[str, int]:
    """Return a command with the lines that bash wants to have for it, and the place behind them."""
    place += 1
    while place < len(lines) and _wants_more(command):
        command += "\n" + lines[place]
        place += 1
    return command, place


def _wants_more(command: str) -> bool:
    told = subprocess.run(["bash", "-n"], input=command + "\n", capture_output=True, text=True, check=False).stderr
    return command.endswith("\\") or "unexpected end of file" in told or "unexpected EOF" in told or "here-doc" in told


def differs(shown: Sequence[str], printed: Sequence[str], exact: bool) -> str:
    """Return how what was printed differs from what a page shows; nothing if it does not.

    ``…`` stands for anything within a line, and in a line of its own for any lines. Unless exactly the same is asked for,
    numbers, times, ids and hashes stand for themselves of any value.
    """
    pattern = "".join(_pattern_of(line, exact) for line in shown)
    text = "".join(plain(line, exact) + "\n" for line in printed)
    if re.fullmatch(pattern, text, re.DOTALL):
        return ""
    return "the page shows\n  " + "\n  ".join(shown) + "\nand it prints\n  " + "\n  ".join(printed)


def is_among(line: str, printed: Sequence[str]) -> bool:
    """Whether a line that a page shows is one of those that were printed."""
    return any(re.fullmatch(_pattern_of(line, exact=False), plain(each) + "\n", re.DOTALL) for each in printed)


def plain(line: str, exact: bool = False) -> str:
    """Return a line without what is another each time."""
    line = re.sub(r"\s+", " ", line.strip())
    for pattern, token in () if exact else _VARYING:
        line = pattern.sub(token, line)
    return line


def _pattern_of(line: str, exact: bool) -> str:
    """Return a regular expression for a line, with its end, or for any lines."""
    if line.strip() == _ANYTHING:
        return r"(?:[^\n]*\n)*?"
    pieces = [re.escape(plain(piece, exact)) for piece in line.split(_ANYTHING)]
    return r"\s?[^\n]*\s?".join(pieces) + r"\n"
