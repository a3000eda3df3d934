"""Completion, as packages install it, in the shells themselves."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.configs import REPOSITORY
from support.wheels import build, detached

SHIPPED = REPOSITORY / "packaging" / "completions"
INSTALLED = {
    "bash": "share/bash-completion/completions/fleetgen",
    "fish": "share/fish/vendor_completions.d/fleetgen.fish",
    "zsh": "share/zsh/site-functions/_fleetgen",
}
BIN = Path(sys.executable).parent


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not here: its completion was not tried")


def said(command: list[str], folder: Path, text: str = "") -> str:
    """Return what a shell prints that finds fleetgen on its path."""
    variables = detached() | {"HOME": str(folder), "PATH": f"{BIN}:/usr/bin:/bin", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=variables, input=text, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", list(INSTALLED))
def test_what_ships_is_what_the_command_prints(shell: str, tmp_path: Path) -> None:
    assert (SHIPPED / f"fleetgen.{shell}").read_text() == said(["fleetgen", "completion", shell], tmp_path)


def test_the_wheel_puts_it_where_shells_look(tmp_path: Path) -> None:
    _, wheel = build(tmp_path)
    with ZipFile(wheel) as archive:
        inside = {name.partition(".data/data/")[2]: archive.read(name) for name in archive.namelist()}
    for shell, place in INSTALLED.items():
        assert inside[place] == (SHIPPED / f"fleetgen.{shell}").read_bytes()


@needs("bash")
def test_bash_completes(tmp_path: Path) -> None:
    program = f"""
        source {SHIPPED}/fleetgen.bash
        complete -p fleetgen
        COMP_WORDS=(fleetgen inspect ev) COMP_CWORD=2
        _fleetgen_completion fleetgen
        echo "${{COMPREPLY[@]}}"
    """
    assert said(["bash", "--norc", "-c", program], tmp_path).splitlines()[1:] == ["events"]


@needs("fish")
def test_fish_completes(tmp_path: Path) -> None:
    program = f"source {SHIPPED}/fleetgen.fish; complete --do-complete 'fleetgen '; complete -C 'fleetgen inspect ev'"
    offered = said(["fish", "--no-config", "-c", program], tmp_path).splitlines()
    assert "status" in {line.partition("\t")[0] for line in offered}
    assert offered[-1] == "events"


@needs("zsh")
def test_zsh_completes(tmp_path: Path) -> None:
    """zsh completes only what is typed at a terminal: one is made within it."""
    functions = tmp_path / "functions"
    functions.mkdir()
    shutil.copy(SHIPPED / "fleetgen.zsh", functions / "_fleetgen")
    (tmp_path / ".zshrc").write_text(f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; PS1='> '\n")
    # The first tab reads the file, the second finds it read
    program = r"""
        zmodload zsh/zpty
        zpty shell zsh -i
        zpty -w -n shell $'fleetgen inspect ev\t\C-a: \C-e--first\n'
        zpty -w -n shell $'fleetgen inspect comp\t\C-a: \C-e--second\n'
        zpty -w -n shell $'exit\n'
        while zpty -r shell line; do print -r -- $line; done
    """
    output = said(["zsh", "-f", "-c", program], tmp_path)
    assert "fleetgen inspect events--first" in output
    assert "fleetgen inspect companies--second" in output
