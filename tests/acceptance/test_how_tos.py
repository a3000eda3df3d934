"""The how-tos that begin with a checkout do what they say: they are typed from top to bottom."""

from pathlib import Path

import pytest

from support.how_tos import BESIDE_A_SET, EXACT, HOW_TOS
from support.reader import type_all


@pytest.mark.parametrize("name", sorted(HOW_TOS.keys() - BESIDE_A_SET))
def test_a_how_to_does_what_it_says(name: str, tmp_path: Path) -> None:
    type_all(HOW_TOS[name], tmp_path, exact=name in EXACT)
