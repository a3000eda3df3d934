"""JSON that somebody else may have damaged: whatever is wrong is a ValueError that names the file."""

from pathlib import Path

import pytest

from fleetgen.storage.reading import parse_json, read_json

NESTED = b"[" * 100_000


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", NESTED, b'{"a":' * 100_000, b"9" * 5000, b"\x00"])
def test_whatever_is_wrong_is_a_value_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "batch_meta.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"batch_meta\.json"):
        read_json(file)


def test_what_is_json_is_read() -> None:
    assert parse_json(b'{"a": [1, null]}', "a line") == {"a": [1, None]}
