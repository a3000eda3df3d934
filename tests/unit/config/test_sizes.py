"""Sizes in bytes, and the key that has one."""

from pathlib import Path

import pytest

from fleetgen.config.loading import load
from fleetgen.config.sizes import parse_size
from support.configs import SHIPPED, message_of_loading, set_folder


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("64MB", 64_000_000), ("1.5 GiB", 1_610_612_736), ("2kB", 2000), ("2 KiB", 2048), ("3TB", 3 * 10**12)],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "64", "MB", "-1MB", "1e3MB", "1 M", "1MB ", "1MB\n", "٣MB", "1Mb", 64, 1.5, True, None]
)
def test_anything_else_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_size(text)


def with_memory(folder: Path, value: str) -> Path:
    return set_folder(folder, SHIPPED.read_text().replace('# memory = "300MB"', f"memory = {value}"))


def test_the_pipelines_memory_is_bytes(tmp_path: Path) -> None:
    assert load(set_folder(tmp_path, SHIPPED.read_text())).config.pipeline.memory is None
    assert load(with_memory(tmp_path, '"1.5GB"')).config.pipeline.memory == 1_500_000_000
    assert load(with_memory(tmp_path, '"64MB"')).config.pipeline.memory == 64_000_000


@pytest.mark.parametrize(
    ("value", "told"), [('"63.9MB"', "is too small"), ("700", "is no size"), ('"much"', "is no size")]
)
def test_another_memory_is_refused_with_what_is_allowed(tmp_path: Path, value: str, told: str) -> None:
    message = message_of_loading(with_memory(tmp_path, value))
    assert f"pipeline.memory = {value} {told}" in message
    assert 'it must be a size of at least "64MB", such as "700MB" or "2GB"' in message
