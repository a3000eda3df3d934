"""What all tests share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder whose path is short, whatever the test's name: a socket's path has at most 99 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="fg-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
