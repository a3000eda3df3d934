"""Owns laying out an `etc/` of one's own from what ships beside the code; leaves what is said of it to `cli`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleetgen.config.editing import keep_beside, write_config
from fleetgen.config.presets import CONFIG_FILE, SCHEMA_FILE, preset_for_use, shipped
from fleetgen.errors import CannotCreate
from fleetgen.storage.files import cannot_create, replace_file

_FOLDERS = ("grafana", "lnav", "presets", "prometheus")
"""Named one by one, for a checkout's `etc/` holds files of its own set too."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A file that was written, and where the one that lay there before is kept, if it is."""

    file: Path
    kept: Path | None = None


def lay_out(etc: Path, preset: str, force: bool = False) -> Iterator[Laid]:
    """Write every file into the folder, the configuration last, and yield each as it is written.

    Raises, before anything is written, UsageError for an unknown preset, and without ``force`` CannotCreate for files that
    would be lost. A configuration that is replaced by force is kept beside the new one.
    """
    config = etc / CONFIG_FILE
    text = preset_for_use(preset)
    contents = {etc / name: (shipped() / name).read_bytes() for name in shipped_files()}
    if not force:
        _spare(config, contents)
    return _written(config, text, contents)


def shipped_files() -> list[str]:
    """Return what goes beside a configuration, as paths below `etc/`."""
    etc = shipped()
    found = (path for folder in _FOLDERS for path in (etc / folder).rglob("*") if path.is_file())
    return [SCHEMA_FILE, *sorted(str(path.relative_to(etc)) for path in found)]


def _spare(config: Path, contents: dict[Path, bytes]) -> None:
    """Raise CannotCreate for the configuration and for files with another content than would be written."""
    lost = [path for path, content in contents.items() if path.is_file() and path.read_bytes() != content]
    if config.exists():
        lost.insert(0, config)
    if not lost:
        return
    exist = "exists" if len(lost) == 1 else "exist"
    raise CannotCreate(
        f"{', '.join(str(path) for path in lost)} {exist} already: nothing was changed. Name another folder, or write "
        "over what is there with --force."
    )


def _written(config: Path, text: str, contents: dict[Path, bytes]) -> Iterator[Laid]:
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
        except OSError as fault:
            raise cannot_create(path, fault) from fault
        yield Laid(path)
    kept = keep_beside(config) if config.exists() else None
    write_config(config, text)
    yield Laid(config, kept)
