"""Owns noticing edits of `generator.toml` in a running process, and telling a bad edit from one that is still under way.

What a valid edit changes is left to `generation` and `processes`.
"""

from dataclasses import dataclass
from pathlib import Path

from fleetgen.config.loading import LAST_GOOD, LoadedConfig, content_of, in_full, load, parse, read_text
from fleetgen.config.model import folder
from fleetgen.config.tables.running import Paths
from fleetgen.domain.records import SECOND
from fleetgen.errors import ConfigurationError
from fleetgen.storage.files import make_folder, replace_file

PATIENCE = 3 * SECOND // 10
"""Microseconds for which an edit may be invalid before it counts as such: editors write in steps."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What has become of an edit: a valid configuration, or the fault of one that stayed invalid."""

    loaded: LoadedConfig | None
    fault: str | None


class ConfigWatch:
    """Looks at one configuration file; reads it whole at each look, for it is small."""

    def __init__(self, file: Path, since: LoadedConfig | None = None) -> None:
        self._file = file
        self._seen = since.content if since else content_of(file)
        self._invalid_since: int | None = None

    def look(self, at: int) -> Edit | None:
        """Return an edit that was completed since the last look, once; ``at`` is the present instant."""
        content = content_of(self._file)
        if content == self._seen and self._invalid_since is None:
            return None
        if content != self._seen:
            self._seen, self._invalid_since = content, None
        try:
            loaded = load(self._file)
        except ConfigurationError as fault:
            return self._invalid(str(fault), at)
        self._invalid_since = None
        return Edit(loaded, None)

    def look_again_at(self) -> int | None:
        """Return the instant at which a look is due because an edit is invalid so far."""
        return None if self._invalid_since is None else self._invalid_since + PATIENCE

    def _invalid(self, fault: str, at: int) -> Edit | None:
        if self._invalid_since is None:
            self._invalid_since = at
        if abs(at - self._invalid_since) < PATIENCE:
            return None
        self._invalid_since = None
        return Edit(None, fault)


def keep_as_last_good(loaded: LoadedConfig, kept: Path | None = None) -> None:
    """Keep what was found valid, whatever the file has become, for processes that start while it is invalid."""
    text = loaded.text.encode()
    kept = kept or loaded.last_good
    if not kept.exists() or kept.read_bytes() != text:
        make_folder(kept.parent, mode=0o700)
        replace_file(kept, text)


def load_or_last_good(file: Path, run: Path | None) -> tuple[LoadedConfig, str | None]:
    """Return the configuration and None, or the last good one in the run folder and the fault of the present one.

    Raises ConfigurationError if neither is to be had.
    """
    content = content_of(file)
    try:
        return load(file), None
    except ConfigurationError as fault:
        last_good = None if run is None else run / LAST_GOOD
        if last_good is None or not last_good.exists():
            raise
        text = read_text(last_good)
        return LoadedConfig(in_full(file), parse(text, last_good), text, content), str(fault)


def load_or_last_good_beside(file: Path) -> tuple[LoadedConfig, str | None]:
    """Do the same for a file alone: an invalid one does not say where the run folder is, so it is where it is by default."""
    return load_or_last_good(file, folder(in_full(file), Paths().run))
