"""Owns what ships beside the code: the presets, and the JSON Schema that editors read."""

import json
from pathlib import Path
from typing import Any

from fleetgen.config.describing import described_schema
from fleetgen.errors import UsageError

SCHEMA_FILE = "generator.schema.json"
CONFIG_FILE = "generator.toml"


def shipped() -> Path:
    """Return the folder `etc` that came with the code: the package's own in a wheel, the checkout's otherwise."""
    package = Path(__file__).resolve().parents[1]
    own = package / "etc"
    return own if own.is_dir() else package.parents[1] / "etc"


def preset_names() -> list[str]:
    """Return the presets' names, sorted."""
    return sorted(file.stem for file in (shipped() / "presets").glob("*.toml"))


def preset_text(name: str) -> str:
    """Return a preset's file as text; raise UsageError for an unknown name."""
    if name not in preset_names():
        raise UsageError(f"There is no preset {name!r}. There are: {', '.join(preset_names())}.")
    return (shipped() / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def preset_for_use(name: str) -> str:
    """Return a preset as a configuration file that lies beside the schema; raise UsageError for an unknown name."""
    return preset_text(name).replace(f"../{SCHEMA_FILE}", f"./{SCHEMA_FILE}")


def json_schema() -> str:
    """Return the JSON Schema of `generator.toml` as text."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_FILE,
        **_described(described_schema()),
        "title": "fleetgen configuration",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _described(node: Any) -> Any:
    """Fold what a field allows into its description, where editors show it."""
    if isinstance(node, list):
        return [_described(item) for item in node]
    if not isinstance(node, dict):
        return node
    rest = {key: _described(value) for key, value in node.items() if key not in ("allowed", "title")}
    if "allowed" in node and isinstance(node["allowed"], str):
        rest["description"] = f"{node.get('description', '').rstrip('.')} — {node['allowed']}".removeprefix(" — ")
    return rest
