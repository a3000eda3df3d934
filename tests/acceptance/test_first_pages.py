"""README and tutorial do what they say: they are typed from top to bottom, and show what they say is shown."""

from pathlib import Path

from support.configs import REPOSITORY
from support.reader import type_all


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    type_all(REPOSITORY / "README.md", tmp_path)


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    type_all(REPOSITORY / "docs" / "tutorial" / "first-five-minutes.md", tmp_path)
