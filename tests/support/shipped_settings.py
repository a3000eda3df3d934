"""Owns the settings that ship: those of every preset and of the configuration itself."""

from pathlib import Path

from fleetgen.config.loading import parse
from fleetgen.config.presets import CONFIG_FILE, preset_names, shipped
from fleetgen.domain.records import Settings

SEED = 42
"""Stands in where a configuration leaves the seed to be drawn."""


def shipped_settings() -> dict[str, Settings]:
    """Return the settings of each shipped configuration by the name of its file."""
    files = [shipped() / CONFIG_FILE, *(shipped() / "presets" / f"{name}.toml" for name in preset_names())]
    return {file.stem: settings_of_file(file) for file in files}


def settings_of_file(file: Path) -> Settings:
    """Return the settings of a configuration file."""
    config = parse(file.read_text(), file)
    return config.settings(config.seed if config.seed is not None else SEED)
