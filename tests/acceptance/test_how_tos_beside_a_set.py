"""The how-tos that speak of a running set do what they say: they are typed from top to bottom."""

from pathlib import Path

import pytest

from support.how_tos import BESIDE_A_SET, HOW_TOS
from support.reader import type_all


@pytest.mark.parametrize("name", sorted(BESIDE_A_SET))
def test_a_how_to_does_what_it_says(name: str, tmp_path: Path) -> None:
    type_all(HOW_TOS[name], tmp_path, beside_a_set=True)
