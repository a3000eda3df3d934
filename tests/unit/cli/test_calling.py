"""Hints carry the way in which the command was called, so that they can be pasted."""

import sys

import pytest

from fleetgen.cli.calling import CALLED_AS, command, named_config, pasteable, program


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["status"], None),
        (["status", "--config", "a.toml"], "a.toml"),
        (["status", "--config=b.toml"], "b.toml"),
        (["query", "--", "--config"], None),
        (["status", "--config"], None),
    ],
)
def test_the_configuration_is_the_one_that_was_named(arguments: list[str], named: str | None) -> None:
    assert named_config(arguments) == named


def test_a_hint_is_called_as_its_reader_has_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALLED_AS, "bin/fleetgen")
    monkeypatch.setattr(sys, "argv", ["/venv/bin/fleetgen", "status", "--config", "my files/a.toml"])

    assert program() == "bin/fleetgen"
    named = "--config 'my files/a.toml'"
    assert pasteable("start it with `fleetgen up`.") == f"start it with `bin/fleetgen up {named}`."
    assert pasteable("`fleetgen up --port-offset 100`") == f"`bin/fleetgen up --port-offset 100 {named}`"
    assert pasteable("`supervisorctl start driver`") == f"`bin/fleetgen ctl {named} start driver`"
    assert pasteable("`fleetgen config use small`") == f"`bin/fleetgen config use small {named}`"
    assert pasteable("`fleetgen init DIR`") == "`bin/fleetgen init DIR`"
    assert pasteable("the package `fleetgen` and fleetgen up") == "the package `fleetgen` and fleetgen up"


@pytest.mark.parametrize(
    ("typed", "called"), [("/elsewhere/bin/fleetgen", "/elsewhere/bin/fleetgen"), ("/a b/fleetgen", "'/a b/fleetgen'")]
)
def test_a_launcher_that_the_shell_would_not_find_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, typed: str, called: str
) -> None:
    monkeypatch.delenv(CALLED_AS, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [typed, "status"])
    assert command("up") == f"{called} up"
