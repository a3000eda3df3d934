"""The docs do what they say: their commands are typed from top to bottom, and show what the page shows."""

import re
from pathlib import Path

import pytest

from support.configs import REPOSITORY
from support.documented import blocks
from support.reader import Reader, lacks

TUTORIAL = REPOSITORY / "docs" / "tutorial" / "first-five-minutes.md"
HOW_TOS = sorted((REPOSITORY / "docs" / "howto").glob("*.md"))
PROGRAMS = ("curl", "jq", "openssl", "promtool")
BEGINS_WITH_A_RUNNING_SET: set[str] = set()
EXACT = {"score-a-pipeline"}


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", TUTORIAL, *HOW_TOS], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    reason = lacks(*[each for each in PROGRAMS if re.search(rf"\b{each}\b", text)])
    if reason:
        pytest.skip(reason)
    with Reader(tmp_path, page.stem in EXACT) as reader:
        if page.stem in BEGINS_WITH_A_RUNNING_SET:
            reader.start_set()
        for block in blocks(page):
            reader.read(block)
