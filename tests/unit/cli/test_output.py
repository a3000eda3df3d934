"""How the command line speaks: one message for a fault, its exit status, and where to find things."""

import os
from pathlib import Path

import pytest

from fleetgen.cli.output import guarded
from fleetgen.cli.welcome import quoted, welcome
from fleetgen.config.loading import LoadedConfig, load
from fleetgen.errors import (
    CannotCreate,
    ConfigurationError,
    FleetgenError,
    HeldByAnother,
    NotYet,
    SystemLacks,
    Unreachable,
)
from support.configs import SHIPPED, set_folder


def ending(fault: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return the exit status and the message of a command that ends by a fault."""

    @guarded
    def command() -> None:
        raise fault

    with pytest.raises(SystemExit) as ended:
        command()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (FleetgenError, 1),
        (Unreachable, 69),
        (SystemLacks, 71),
        (CannotCreate, 73),
        (HeldByAnother, 75),
        (NotYet, 75),
        (ConfigurationError, 78),
    ],
)
def test_a_fault_of_ours_is_one_line_and_its_own_status(
    capsys: pytest.CaptureFixture[str], fault: type[FleetgenError], status: int
) -> None:
    assert ending(fault("what is wrong"), capsys) == (status, "fleetgen: what is wrong\n")
    assert ending(fault(), capsys)[1].startswith(f"fleetgen: {(fault.__doc__ or '').strip()[:20]}")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (PermissionError(13, "Permission denied", "/etc/x"), "Cannot use /etc/x: Permission denied. Grant access"),
        (OSError(28, "No space left on device"), "Cannot use the output: No space left on device. Make room"),
        (
            NotADirectoryError(20, "Not a directory", "a/b"),
            "Cannot use a/b: Not a directory. A file lies where a folder",
        ),
    ],
)
def test_a_fault_of_the_system_names_the_place_and_the_remedy(
    capsys: pytest.CaptureFixture[str], fault: OSError, told: str
) -> None:
    status, message = ending(fault, capsys)
    assert status == 73
    assert message.startswith(f"fleetgen: {told}")


def test_a_surprise_is_not_hidden() -> None:
    @guarded
    def command() -> None:
        raise KeyError("surprise")

    with pytest.raises(KeyError):
        command()


@pytest.mark.parametrize(
    ("name", "written"),
    [("plain", "plain"), ("two words", "'two words'"), ("it's", "'it'\"'\"'s'"), ("-x", "./-x"), ("$(id)", "'$(id)'")],
)
def test_a_path_is_written_as_a_shell_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert quoted(tmp_path / name) == written
    assert quoted(Path("/elsewhere") / name).count("elsewhere") == 1


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedConfig:
    return load(set_folder(tmp_path, SHIPPED.read_text()))


def test_the_welcome_says_where_everything_is_and_what_to_try(loaded: LoadedConfig) -> None:
    told = welcome(loaded, 100)
    assert str(loaded.layout.data) in told
    for place in (
        "18100/api/health",
        "9201/metrics  (company)",
        "9203/metrics  (pipeline)",
        "18100/metrics  (control)",
    ):
        assert f"http://127.0.0.1:{place}" in told
    assert f"fleetgen mode production --config {loaded.file}" in told
    assert "emulated" in told


def test_the_welcome_names_files_as_they_are_seen_from_where_one_stands(
    loaded: LoadedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(loaded.file.parent.parent)
    told = welcome(loaded, 0)
    assert "tail -F data/manifests/logs/*.jsonl" in told
    assert "--config etc/generator.toml" in told
    Path("bin").mkdir()
    Path("bin/fleetgen").touch()
    assert "bin/fleetgen mode production\n" not in told
    assert f"bin{os.sep}fleetgen mode production " in welcome(loaded, 0)
