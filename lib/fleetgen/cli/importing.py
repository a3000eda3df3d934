"""Owns `fleetgen config import`: from a file of the earlier system to one of ours, and what was lost on the way."""

from pathlib import Path
from typing import Any

import click

from fleetgen.config.editing import keep_beside, write_config
from fleetgen.config.importing import imported
from fleetgen.config.loading import in_full, parse
from fleetgen.errors import ConfigurationError, SystemLacks, UsageError

_GREATEST_BYTES = 1 << 20


@click.command("import")
@click.argument("old", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write; one that is there is kept as .bak. Default: print it.",
)
def import_config(old: Path, output: Path | None) -> None:
    """Turn a configuration of the earlier system, in YAML, into a generator.toml.

    What has no counterpart is named on standard error, and in comments of the file. Needs the extra `yaml`.
    """
    target = None if output is None else in_full(output)
    if target is not None and target.is_dir():
        raise UsageError(f"--output {output} is a folder: name a file in it, such as {target / 'generator.toml'}.")
    result = imported(_read(old), old.name)
    parse(result.text, target or Path("generator.toml"))
    told = result.text if target is None else f"{_put(target, result.text)}\n"
    for note in result.notes:
        click.echo(click.style("fleetgen: ", fg="yellow") + note, err=True)
    click.echo(told, nl=False)


def _put(target: Path, text: str) -> str:
    """Write the file, and say so."""
    kept = f" The file that was there is kept as {keep_beside(target)}." if target.exists() else ""
    write_config(target, text)
    return f"{target} is written.{kept}"


def _read(file: Path) -> Any:
    """Return what stands in a YAML file; raises UsageError, SystemLacks, ConfigurationError."""
    try:
        import yaml
    except ImportError as fault:
        raise SystemLacks("Reading YAML needs PyYAML: install it with `pip install 'fleetgen[yaml]'`.") from fault
    try:
        return yaml.safe_load(_text(file))
    except yaml.YAMLError as fault:
        place = getattr(fault, "problem_mark", None)
        where = f" (line {place.line + 1})" if place is not None else ""
        problem = getattr(fault, "problem", None) or str(fault).splitlines()[0]
        raise ConfigurationError(f"{file} is no valid YAML{where}: {problem}. Correct that place.") from fault
    except (ValueError, RecursionError) as fault:
        raise ConfigurationError(
            f"{file} is no configuration of the earlier system: {fault}. Name another file."
        ) from fault


def _text(file: Path) -> str:
    try:
        if not file.is_file():
            raise UsageError(
                f"There is no file {file}: name the earlier system's configuration, such as config.base.yaml."
            )
        with file.open("rb") as opened:
            content = opened.read(_GREATEST_BYTES + 1)
    except OSError as fault:
        raise UsageError(f"{file} cannot be read: {fault.strerror}. Grant access, or name another file.") from fault
    if len(content) > _GREATEST_BYTES:
        raise UsageError(f"{file} is larger than 1 MiB: this is no configuration file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UsageError(f"{file} is no UTF-8 text (byte {fault.start}): save it as UTF-8.") from fault
