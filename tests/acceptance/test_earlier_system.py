"""Users of the earlier system: their configuration is imported, and the paths and lines of its documentation work."""

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.configs import REPOSITORY, fleetgen, parsed, tree
from support.earlier import OURS, PRESETS, QUALITY
from support.patience import wait_for
from support.sets import RunningSet


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize("name", list(PRESETS))
def test_an_imported_preset_passes_the_check(tmp_path: Path, name: str) -> None:
    old = written(tmp_path, name, PRESETS[name] + QUALITY)

    made = fleetgen("config", "import", old, "--output", "generator.toml", cwd=tmp_path)
    checked = fleetgen("config", "check", "--config", "generator.toml", cwd=tmp_path)

    assert (made.returncode, checked.returncode) == (0, 0)
    assert made.stdout == f"{tmp_path / 'generator.toml'} is written.\n"
    assert made.stderr.splitlines() == [
        "fleetgen: quality_injection.log_injected_issues = true has no counterpart: what was injected is always in data/truth."
    ]
    assert f"# Imported from {name}." in (tmp_path / "generator.toml").read_text()


def test_without_an_output_the_file_alone_is_printed(tmp_path: Path) -> None:
    old = written(tmp_path, "config.small.yaml", PRESETS["config.small.yaml"])
    before = tree(tmp_path)

    printed = fleetgen("config", "import", old, cwd=tmp_path)

    assert parsed(printed.stdout).modes.production.companies_per_batch == 5
    assert printed.stderr == ""
    assert tree(tmp_path) == before


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    old = written(tmp_path, "config.small.yaml", PRESETS["config.small.yaml"])
    assert fleetgen("init", ".", cwd=tmp_path).returncode == 0
    before = (tmp_path / "etc" / "generator.toml").read_bytes()

    made = fleetgen("config", "import", old, "--output", "etc/generator.toml", cwd=tmp_path)

    assert "generator.toml.bak" in made.stdout
    assert (tmp_path / "etc" / "generator.toml.bak").read_bytes() == before
    assert fleetgen("mode", cwd=tmp_path).stdout == "production\n"


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("a: [1\nb: 2\n", 78, "is no valid YAML (line 2)"),
        ("a: !!python/object/apply:os.system [true]\n", 78, "is no valid YAML (line 1)"),
        ("- 1\n", 78, "no configuration of the earlier system"),
        ("drivers_per_company: many\n", 78, "drivers_per_company = many is no whole number"),
        ("\0", 78, "is no valid YAML"),
        ("[" * 3000, 78, "old.yaml"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(tmp_path: Path, text: str, status: int, says: str) -> None:
    old = written(tmp_path, "old.yaml", text)

    refused = fleetgen("config", "import", old, "--output", "generator.toml", cwd=tmp_path)

    assert refused.returncode == status
    assert refused.stderr.startswith("fleetgen: ")
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "generator.toml").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = fleetgen("config", "import", "nowhere.yaml", cwd=tmp_path)

    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "nowhere.yaml" in refused.stderr


def test_a_folder_as_output_is_refused(tmp_path: Path) -> None:
    old = written(tmp_path, "config.small.yaml", PRESETS["config.small.yaml"] + QUALITY)

    refused = fleetgen("config", "import", old, "--output", ".", cwd=tmp_path)

    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is a folder: name a file in it" in refused.stderr


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    """A set on the earlier system's fastest preset, imported, with issues; it has made some batches.

    Its API lets people in as that of the compose file does.
    """
    access = tomllib.loads((REPOSITORY / "packaging" / "docker" / "etc" / "generator.toml").read_text())["control"]
    with RunningSet(control=True) as each:
        each.configure_table("control", **{key: json.dumps(access[key]) for key in ("address", "trust_network")})
        old = written(each.folder, "old.yaml", PRESETS["config.emulated.5s.yaml"] + QUALITY)
        imported = each.folder / "imported.toml"
        assert fleetgen("config", "import", old, "--output", imported, cwd=each.folder).returncode == 0
        kept = each.config.read_text()
        head, tail = imported.read_text().partition("[paths]")[0], kept.partition("[paths]")[2]
        each.config.write_text(f"{head}[paths]{tail}")
        each.start()
        wait_for(lambda: each.batch_count("events") >= 2 and each.batch_count("companies") >= 2, 40, "Batches")
        derived = each.data / "raw" / "companies.jsonl", each.data / "manifests" / "dataset.md"
        wait_for(lambda: all(file.exists() for file in derived), 20, "What follows from batches")
        wait_for(lambda: derived[0].read_bytes().count(b"\n") >= 10, 20, "The companies of two batches in one file")
        yield each


def asked(running: RunningSet, line: str) -> str:
    """Return what a line of the documentation prints, with the port and the folder of this set."""
    if not shutil.which("jq") or not shutil.which("curl"):
        pytest.skip("needs curl and jq")
    line = line.replace("localhost:18000", f"127.0.0.1:{running.control_port}").replace("/data/", f"{running.data}/")
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout.strip()


def test_documented_paths_hold_what_they_held(running: RunningSet) -> None:
    companies = [json.loads(line) for line in asked(running, "cat /data/raw/companies.jsonl").splitlines()]
    assert len(companies) >= 10
    newest = asked(running, "ls -t /data/raw/events | head -1")
    assert 3 <= int(asked(running, f"cat /data/raw/events/{newest}/batch_meta.json | jq .record_count")) <= 10
    assert int(asked(running, "find /data/raw/events -name 'batch_meta.json' -mmin -1 | wc -l")) >= 2
    assert json.loads(asked(running, "cat /data/manifests/generator_state.json"))
    assert "42" in asked(running, "cat /data/manifests/dataset.md")
    assert "company.jsonl" in asked(running, "ls /data/manifests/logs")


def test_documented_lines_about_health_work(running: RunningSet) -> None:
    assert asked(running, "curl -s http://localhost:18000/api/health | jq -r .generation_mode") == "emulated"
    mode = json.loads(
        asked(
            running, "curl -s http://localhost:18000/api/health | jq '{mode:.generation_mode, config:.emulated_config}'"
        )
    )
    assert mode["config"]["company_interval_seconds"] == mode["config"]["driver_interval_seconds"] == 5
    assert mode["config"]["companies_per_batch"] == 5
    batches = json.loads(
        asked(
            running,
            "curl -s http://localhost:18000/api/health | "
            "jq '{company:.company_generator.total_batches, driver:.driver_generator.total_batches}'",
        )
    )
    assert min(batches.values()) >= 2
    assert asked(running, "curl -s http://localhost:18000/api/health | jq '{status, mode:.generation_mode}'")


def test_documented_lines_about_logs_work(running: RunningSet) -> None:
    lines = asked(
        running, "curl -s 'http://localhost:18000/api/logs?limit=5' | jq -c '.entries[] | {ts,level,message}'"
    )
    entries = [json.loads(line) for line in lines.splitlines()]
    assert len(entries) == 5
    assert all(all(entry.values()) for entry in entries)
    messages = asked(running, "curl -s 'http://localhost:18000/api/logs?limit=10' | jq -r '.entries[] | .message'")
    assert "generated" in messages
    assert asked(running, "curl -s 'http://localhost:18000/api/logs?limit=10&level=error' | jq '.totalReturned'") == "0"
    follow = (
        "since=$(curl -s 'http://localhost:18000/api/logs?limit=5' | jq -r .nextSince); "
        'curl -s "http://localhost:18000/api/logs?since=$(printf %s "$since" | jq -sRr @uri)&limit=5" | jq \'.entries | length\''
    )
    assert int(asked(running, follow)) <= 5


def test_documented_lines_that_pause_clean_and_resume_work(running: RunningSet) -> None:
    assert asked(running, "curl -s -X POST http://localhost:18000/api/clean | jq -r .error") == "pause_required"
    assert asked(running, "curl -s -X POST http://localhost:18000/api/pause | jq -r .status") == "paused"
    assert int(asked(running, "curl -s -X POST http://localhost:18000/api/clean | jq '.deleted_count'")) > 0
    actions = asked(running, "curl -s -X POST http://localhost:18000/api/resume | jq -c '.extra.baseline_actions'")
    assert json.loads(actions) == ["companies:5", "driver_batch:1"]
    assert asked(running, "curl -s http://localhost:18000/api/health | jq -r .auto_reinit.performed") == "true"


def test_every_preset_has_one_of_ours() -> None:
    assert set(OURS) == set(PRESETS)
