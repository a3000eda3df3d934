"""A command line that does not fit gets one line: what is wrong, what was probably meant, where help is."""

import os
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from fleetgen.cli.examples import EXAMPLES
from fleetgen.cli.main import fleetgen as fleetgen_group
from support.configs import REPOSITORY, SHIPPED, fleetgen, set_folder


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("statsu",), "Did you mean status"),
        (("config", "chek"), "Did you mean check"),
        (("status", "--jsn"), "Did you mean --json"),
        (("--config", "x.toml", "status"), "goes behind the command, as in"),
        (("--json", "status"), "Options of a command go behind it"),
        (("status", "--version"), "It stands alone"),
        (("query", "FROM", "events"), "unexpected extra argument"),
        (("generate",), "Missing argument"),
        (("run", "drivr"), "'drivr' is not one of"),
    ],
)
def test_one_line_names_the_remedy(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    answer = fleetgen(*arguments, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("fleetgen: ")
    assert answer.stderr.count("\n") == 1
    assert told in answer.stderr


def test_help_and_version_are_found_by_every_usual_name(tmp_path: Path) -> None:
    assert fleetgen("help", cwd=tmp_path).stdout == fleetgen("--help", cwd=tmp_path).stdout
    asked = fleetgen("help", "config", "use", cwd=tmp_path)
    assert (asked.returncode, asked.stdout) == (0, fleetgen("config", "use", "--help", cwd=tmp_path).stdout)
    assert fleetgen("-V", cwd=tmp_path).stdout == fleetgen("--version", cwd=tmp_path).stdout != ""


def completed(folder: Path, words: str) -> list[str]:
    """Return what a shell is offered for the last word."""
    variables = {
        "_FLEETGEN_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    return [line.partition(",")[2] for line in fleetgen(cwd=folder, **variables).stdout.split()]


def test_a_shell_completes_commands_streams_batches_presets_and_processes(tmp_path: Path) -> None:
    set_folder(tmp_path, SHIPPED.read_text())
    batches = tmp_path / "data" / "raw" / "events"
    for name in ("20261121T095200Z", "20261121T095210Z", ".staged"):
        (batches / name).mkdir(parents=True)

    assert completed(tmp_path, "fleetgen sta") == ["status"]
    assert completed(tmp_path, "fleetgen inspect ") == ["companies", "events"]
    assert completed(tmp_path, "fleetgen inspect events 2026") == ["20261121T095210Z", "20261121T095200Z"]
    assert completed(tmp_path, "fleetgen replay companies ") == []
    assert "quality-demo" in completed(tmp_path, "fleetgen config use ")
    assert completed(tmp_path, "fleetgen logs dri") == ["driver"]
    assert completed(tmp_path, "fleetgen status --js") == ["--json"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_is_given_is_a_script(tmp_path: Path, shell: str) -> None:
    script = fleetgen("completion", shell, cwd=tmp_path)
    assert (script.returncode, "_FLEETGEN_COMPLETE" in script.stdout) == (0, True)
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=script.stdout, text=True, check=False).returncode == 0


def test_the_launchers_are_found_through_symbolic_links_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("fleetgen", "supervisorctl"):
        (tmp_path / name).symlink_to(os.path.relpath(REPOSITORY / "bin" / name, tmp_path))
        (tmp_path / "there" / name).symlink_to(Path("..") / name)
        done = subprocess.run([f"there/{name}", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or done.stderr.endswith(f"in {REPOSITORY}\n"), done.stderr


@pytest.mark.parametrize("command", list(EXAMPLES))
def test_help_ends_with_examples_that_are_calls_of_that_command(command: str) -> None:
    """What is shown is taken apart as the command line would be, and nothing of it is run."""
    for example in EXAMPLES[command]:
        if example.startswith("eval"):
            continue
        words = shlex.split(example.partition(" > ")[0].partition(" < ")[0].partition("  #")[0])
        with fleetgen_group.make_context("fleetgen", words) as context:
            name, found, rest = fleetgen_group.resolve_command(context, words)
            assert found is not None
            if isinstance(found, click.Group):
                name, found, rest = found.resolve_command(context, rest)
            assert found is not None
            assert found.make_context(name, rest, parent=context).params.keys() == {
                each.name for each in found.params
            } - {"help"}
            assert f"fleetgen {example}" in found.get_help(context) or command == "config"
