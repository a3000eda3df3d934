"""Lines of several batches are split at once, and are those of each batch by itself."""

from pathlib import Path

import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.lines import Block, list_batches, listed, read_batches, split
from fleetgen.storage.layout import Layout
from support.bronze import published

CONTENTS = (
    b'{"a":1}\n{"a":2}\n',
    b"",
    b"no newline at the end",
    "ü\n€\n".encode(),
    b"\n\n",
    b"\xc3\n\xa4\n",  # one letter, cut by a newline: neither line is UTF-8
    b"x\n" * 600_000,  # more than is split at once
    b"last\n",
)


def test_several_batches_have_the_lines_of_each(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    entries = published(layout, CONTENTS)

    found = read_batches(layout, Stream.EVENTS, entries, lambda: None)

    alone = [
        split([Block(content, 1, entry.batch_number, entry.interval)])
        for content, entry in zip(CONTENTS, entries, strict=True)
        if content
    ]
    assert found.combine_chunks().equals(pa.Table.from_batches(alone).combine_chunks())
    few = found.slice(0, 9).to_pydict()
    assert few["raw"] == ['{"a":1}', '{"a":2}', "no newline at the end", "ü", "€", "", "", r"\xc3", r"\xa4"]
    assert few["valid_utf8"] == [True] * 7 + [False] * 2
    assert few["line"] == [1, 2, 1, 1, 2, 1, 2, 1, 2]
    assert few["batch_number"] == [0, 0, 2, 3, 3, 4, 4, 5, 5]


def test_lines_that_are_listed_are_those_that_are_split(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    contents = [each for each in CONTENTS if len(each) < 100]
    entries = published(layout, [*contents, b"\0\n\xff\xfe\n\r\n"])

    found = list_batches(layout, Stream.EVENTS, entries, lambda: None)

    assert found == read_batches(layout, Stream.EVENTS, entries, lambda: None).to_pydict()
    assert len(found["raw"]) == 13


def test_of_no_lines_there_are_all_columns(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    entries = published(layout, [b"", b""])

    found = read_batches(layout, Stream.EVENTS, entries, lambda: None)

    assert found.num_rows == 0
    assert found.schema == split([Block(b"x", 1, 0, entries[0].interval)]).schema
    assert list_batches(layout, Stream.EVENTS, entries, lambda: None) == listed([]) == found.to_pydict()
