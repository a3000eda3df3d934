"""supervisord's file, as supervisord itself reads it."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from fleetgen.config.loading import LoadedConfig, load
from fleetgen.errors import ConfigurationError, UsageError
from fleetgen.supervision.programs import (
    Program,
    programs,
    record_programs,
    recorded_offset,
    recorded_programs,
    render,
    socket_of,
)
from support.configs import SHIPPED, set_folder

ODD = "a%d %(x)s %% ü $(id) '\"<b>"


def loaded_in(folder: Path, **replaced: str) -> LoadedConfig:
    text = SHIPPED.read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return load(set_folder(folder, text))


def read_by_supervisord(loaded: LoadedConfig, text: str) -> dict[str, Any]:
    """Return what supervisord makes of a file: its own settings, and those of each program."""
    for folder in (loaded.run, loaded.layout.logs):
        folder.mkdir(parents=True, exist_ok=True)
    conf = loaded.file.with_name("supervisord.conf")
    conf.write_text(text, encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(conf)])
    configs = [config for group in options.process_group_configs for config in group.process_configs]
    return {"": options} | {config.name: config for config in configs}


@pytest.mark.parametrize("name", ["plain", ODD])
def test_every_path_and_command_arrives_as_it_is(tmp_path: Path, name: str) -> None:
    loaded = loaded_in(tmp_path / name)
    read = read_by_supervisord(loaded, render(loaded))
    assert set(read) == {"", "company", "driver", "pipeline", "control"}
    assert read[""].pidfile == str(loaded.pid_file)
    for process in ("company", "driver", "pipeline", "control"):
        config = read[process]
        assert config.stdout_logfile == str(loaded.layout.logs / f"{process}.jsonl")
        assert config.stderr_logfile == str(loaded.run / f"{process}.stderr.log")
        command = shlex.split(config.command)
        assert command[1:5] == ["-m", "fleetgen", "run", process]
        named = dict(zip(command[5::2], command[6::2], strict=True))
        assert named["--config"] == str(loaded.file)
        assert (named["--data"], named["--run"]) == (str(loaded.layout.data), str(loaded.run))
        assert set(config.exitcodes) == {0, 71, 75, 78}


def test_only_the_process_whose_mark_changes_is_another_one(tmp_path: Path) -> None:
    before = render(loaded_in(tmp_path), token_mark="one").splitlines()
    token = render(loaded_in(tmp_path), token_mark="two").splitlines()
    assert [line for line in token if line not in before] == ['environment=FLEETGEN_MARK="two"']
    with_memory = SHIPPED.read_text().replace('# memory = "300MB"', 'memory = "700MB"')
    memory = render(load(set_folder(tmp_path, with_memory)), token_mark="one").splitlines()
    assert [line for line in memory if line not in before] == ['environment=FLEETGEN_MARK="700000000"']


@pytest.mark.parametrize("name", ["a ;b", "a #b", "a\nb", "a\t;b"])
def test_a_path_that_supervisord_takes_for_a_comment_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"takes for a comment: rename the folder"):
        render(loaded_in(tmp_path / name))


def test_the_socket_is_found_again_by_its_own_configuration_alone(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path / ODD)
    conf = tmp_path / "supervisord.conf"
    conf.write_text(render(loaded), encoding="utf-8")
    assert socket_of(conf, loaded.file) == loaded.socket
    assert socket_of(conf, tmp_path / "other.toml") is None
    conf.write_text("; nothing\n")
    assert socket_of(conf, loaded.file) is None
    assert socket_of(tmp_path / "none", loaded.file) is None


def test_an_offset_moves_every_port_and_not_beyond_the_last(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path)
    assert [each.port for each in programs(loaded, 100)] == [9201, 9202, 9203, 18100]
    with pytest.raises(UsageError, match=r"takes control\.port beyond 65535"):
        programs(loaded, 50_000)


def test_what_runs_is_recorded_and_without_a_record_the_configuration_is_asked(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path)
    loaded.run.mkdir()
    assert recorded_offset(loaded) == 0
    assert recorded_programs(loaded) == programs(loaded, 0)
    record_programs(loaded, 7)
    assert recorded_offset(loaded) == 7
    assert recorded_programs(loaded) == programs(loaded, 7)
    assert all(isinstance(each, Program) for each in recorded_programs(loaded))
    loaded.programs.write_text("[{}]")
    assert recorded_programs(loaded) == programs(loaded, 7)


@pytest.mark.parametrize(("table", "process"), [("[control]", "control"), ("[pipeline]", "pipeline")])
def test_a_process_that_is_disabled_is_not_in_the_set(tmp_path: Path, table: str, process: str) -> None:
    before, found, after = SHIPPED.read_text().partition(table)
    loaded = load(set_folder(tmp_path, before + found + after.replace("enabled = true", "enabled = false", 1)))
    assert process not in [each.name for each in programs(loaded, 0)]
    assert f"[program:{process}]" not in render(loaded)


def test_the_pipeline_starts_again_when_what_it_reads_at_its_start_changes(tmp_path: Path) -> None:
    # given files that differ in the engine, and in a setting of Spark
    usual = SHIPPED.read_text()
    on_spark = usual.replace('engine = "embedded"', 'engine = "spark"') + '\n[pipeline.spark]\nmaster = "local[2]"\n'
    texts = (usual, on_spark, on_spark.replace("local[2]", "local[3]"))
    # then supervisord sees another program each time
    rendered = {_section(render(load(set_folder(tmp_path / str(at), text)))) for at, text in enumerate(texts)}
    assert len(rendered) == 3


def _section(rendered: str) -> str:
    """Return what marks the pipeline's program."""
    section = rendered.partition("[program:pipeline]")[2].partition("\n\n")[0]
    return next(line for line in section.splitlines() if line.startswith("environment="))
