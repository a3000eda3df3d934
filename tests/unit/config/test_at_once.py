"""A faulty configuration is told of in one round, and where a bracket was opened."""

import pytest

from support.configs import message_about


def test_what_missing_tables_must_have_is_told_with_them() -> None:
    told = message_about("")
    for key in ("mode", "fleet", "modes", "modes.emulated", "modes.production"):
        assert f"  {key} is missing: " in told
    filled = message_about('mode = "emulated"\n[fleet]\n[modes]\n')
    assert {line.partition(" is missing")[0].split()[-1] for line in filled.splitlines()[1:]} == {
        "modes.emulated",
        "modes.production",
    }


@pytest.mark.parametrize(
    "text",
    [
        'mode = "emulated"\n\nx = [1,\n2\n\n[paths]\ndata = "x"\n',
        'mode = "emulated]"  # [\n\nx = [1, "]",\n2\n\ny = 3\n',
    ],
)
def test_an_unclosed_bracket_is_told_with_its_own_line(text: str) -> None:
    assert "(opened at line 3): x = [1," in message_about(text)
