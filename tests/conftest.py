"""What all tests share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fleetgen", deadline=None)  # machines are noisy
settings.register_profile("quick", deadline=None, max_examples=20)  # `make test-unit`
settings.load_profile("fleetgen")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder whose path is short, whatever the test's name: a socket's path has at most 99 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="fg-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
