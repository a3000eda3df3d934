"""Owns configuration files for tests: one that writes every key, its changes, and calls of the command line."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetgen.config.loading import load, parse
from fleetgen.config.model import Config
from fleetgen.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[2]
ETC = REPOSITORY / "etc"
SHIPPED = ETC / "generator.toml"
PRESETS = ("base", "emulated", "emulated-30s", "emulated-5s", "quality-demo", "scaling", "small")

EVERY_KEY: dict[str, dict[str, str]] = {
    "": {"mode": '"emulated"', "seed": "42"},
    "fleet": {
        "drivers_per_company": "10",
        "max_active_companies": "1000",
        "event_rate_per_driver": "3.5",
        "geography_weights": "{ US = 1.0 }",
        "active_probability": "1.0",
        "event_type_weights": '{ "start driving" = 0.40, "stopped driving" = 0.35, "delivered" = 0.25 }',
    },
    "modes.production": {"company_interval": '"PT1H"', "driver_interval": '"PT15M"', "companies_per_batch": "100"},
    "modes.emulated": {
        "company_interval": '"PT10S"',
        "driver_interval": '"PT10S"',
        "companies_per_batch": "10",
        "events_per_batch": "{ min = 5, max = 20 }",
    },
    "schedule": {"catch_up_limit": "10"},
    "backpressure": {"consumers": '["pipeline"]', "max_backlog_batches": "60", "action": '"pause"'},
    "retention": {"keep_batches": "0", "min_free_bytes": "268435456"},
    "quality": {"enabled": "false", "event_error_rate": "0.15", "company_error_rate": "0.15"},
    "quality.weights": {
        "missing_field": "0.30",
        "null_value": "0.30",
        "malformed_timestamp": "0.20",
        "invalid_enum": "0.10",
        "duplicate": "0.05",
        "boundary_violation": "0.05",
    },
    "paths": {"data": '"../data"', "run": '"../run"'},
    "metrics": {"address": '"127.0.0.1"', "company_port": "9101", "driver_port": "9102", "pipeline_port": "9103"},
    "control": {
        "enabled": "true",
        "address": '"127.0.0.1"',
        "port": "18000",
        "dashboard": "true",
        "host_names": "[]",
        "trust_network": "false",
    },
    "pipeline": {"enabled": "true", "engine": '"embedded"'},
    "supervisor": {"start_retries": "5", "stop_wait_seconds": "10"},
}
"""Each table and key with the value that is its default, as TOML."""

KEYS = tuple(f"{table}.{name}".lstrip(".") for table, entries in EVERY_KEY.items() for name in entries)


@dataclass(frozen=True)
class Written:
    """The text of a configuration file, and on which line each key and table stands."""

    text: str
    lines: Mapping[str, int]


def written(changes: Mapping[str, str | None] | None = None, renamed: Mapping[str, str] | None = None) -> Written:
    """Write every key; with other TOML for some, without those whose change is None, and some under another name."""
    rows: list[str] = []
    lines: dict[str, int] = {}
    for table, entries in EVERY_KEY.items():
        if table:
            rows += ["", f"[{table}]"]
            lines[table] = len(rows)
        for name, usual in entries.items():
            key = f"{table}.{name}".lstrip(".")
            value = (changes or {}).get(key, usual)
            if value is not None:
                rows.append(f"{(renamed or {}).get(key, name)} = {value}")
                lines[key] = len(rows)
    return Written("\n".join(rows) + "\n", lines)


def parsed(text: str) -> Config:
    """Return the valid configuration that a text describes."""
    return parse(text, Path("generator.toml"))


def message_about(text: str) -> str:
    """Return the message about a text that is no valid configuration; fail if it is one."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, Path("generator.toml"))
    return str(caught.value)


def message_of_loading(file: Path) -> str:
    """Return the message about a file that is no valid configuration; fail if it is one."""
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    return str(caught.value)


def set_folder(folder: Path, text: str | bytes) -> Path:
    """Write a configuration to ``etc/generator.toml`` in a folder and return its path."""
    file = folder / "etc" / "generator.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def fleetgen(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call the command line as a user does, in a working directory, with environment variables."""
    environment = {name: value for name, value in os.environ.items() if name != "FLEETGEN_CONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "fleetgen", *map(str, arguments)],
        cwd=cwd,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tree(folder: Path) -> dict[str, bytes | str]:
    """Return everything below a folder: files with their content, links with their target."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else "not a file"
        for path in sorted(folder.rglob("*"))
    }
