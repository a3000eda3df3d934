"""Owns the commands about the configuration: config, mode."""

import json
import tomllib
from contextlib import suppress
from pathlib import Path

import click
import tomli_w

from fleetgen.cli.completing import offer_presets
from fleetgen.cli.importing import import_config
from fleetgen.cli.output import with_config
from fleetgen.config.editing import RUNNING_TABLES, keep_beside, set_mode, with_preset, write_config
from fleetgen.config.loading import load, parse, read_text
from fleetgen.config.presets import json_schema, preset_for_use, preset_names, preset_text
from fleetgen.errors import ConfigurationError
from fleetgen.supervision.deeds import tell


@click.group
def config() -> None:
    """Check, show and choose the configuration."""


@config.command
@with_config
def check(config_file: Path) -> None:
    """Check the configuration; name every fault at once."""
    loaded = load(config_file)
    click.echo(f"{loaded.file} is valid: {loaded.config.mode} mode.")


@config.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of TOML.")
@with_config
def show(as_json: bool, config_file: Path) -> None:
    """Print the configuration with every default filled in."""
    values = load(config_file).config.model_dump(mode="json", exclude_none=True)
    click.echo(json.dumps(values, indent=2) if as_json else tomli_w.dumps(values), nl=as_json)


@config.command
@with_config
def schema(config_file: Path) -> None:
    """Print the JSON Schema that editors complete and check the file by."""
    click.echo(json_schema(), nl=False)


@config.command
@with_config
def presets(config_file: Path) -> None:
    """List the presets."""
    for name in preset_names():
        title = next(line for line in preset_text(name).splitlines() if line.startswith("# "))
        click.echo(f"{name:<14} {title[2:]}")


@config.command
@click.argument("name", shell_complete=offer_presets)
@with_config
def use(name: str, config_file: Path) -> None:
    """Replace the configuration by a preset.

    What the file says of this machine stays: [paths], [metrics], [control], [pipeline] and [supervisor], with ports and
    token. The file that was there is kept as .bak.
    """
    text, kept, stays = preset_for_use(name), "", ""
    if config_file.exists():
        text, stays = _with_own_place(config_file, text)
        kept = f" The file that was there is kept as {keep_beside(config_file)}."
    parse(text, config_file)
    write_config(config_file, text)
    _tell_edit(config_file, f"by command: the preset {name}")
    click.echo(f"{config_file} is now the preset {name}.{stays}{kept} A running set follows within a second.")


def _with_own_place(config_file: Path, preset: str) -> tuple[str, str]:
    """Return a preset's text with what the present file says of this machine, and a sentence that says so.

    Of a file that is no valid configuration nothing is kept.
    """
    try:
        present = read_text(config_file)
        parse(present, config_file)
    except ConfigurationError:
        return preset, " The file that was there is not valid, so nothing of it was taken over."
    text = with_preset(present, preset)
    tables = ", ".join(f"[{name}]" for name in RUNNING_TABLES if name in tomllib.loads(present))
    return text, f" Where and how the set runs stays as it was ({tables})." if tables else ""


def _tell_edit(config_file: Path, how: str) -> None:
    """Let the log of the set that the file belongs to say who edited it."""
    with suppress(ConfigurationError):
        tell(load(config_file).layout.logs, f"Edited {config_file.name} {how}", "config")


config.add_command(import_config)


@click.command
@click.argument("mode", required=False, type=click.Choice(["emulated", "production"]))
@with_config
def mode(mode: str | None, config_file: Path) -> None:
    """Show the mode, or set it by editing that one line."""
    if mode is None:
        click.echo(load(config_file).config.mode)
        return
    before = set_mode(config_file, mode)
    if before != mode:
        _tell_edit(config_file, f"by command: {mode} mode, before {before}")
    if before == mode:
        click.echo(f"The mode is already {mode}.")
    else:
        click.echo(f"The mode is now {mode}; it was {before}. A running set follows within a second.")
