"""Owns finding the set that a configuration belongs to: where supervisord's file may lie, and which supervisord answers."""

from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.supervision.client import Supervisor
from fleetgen.supervision.programs import CONF_FILE, socket_of


def set_of(loaded: LoadedConfig) -> Supervisor:
    """Return the set's supervisord: the one that the configuration names, or the one that was last started by it."""
    found = (socket_of(conf, loaded.file) for conf in conf_places(loaded))
    started = (Supervisor(path) for path in found if path is not None)
    named = Supervisor(loaded.socket)
    return next((each for each in (named, *started) if each.is_up()), named)


def conf_places(loaded: LoadedConfig) -> tuple[Path, Path]:
    """Return where supervisord's file may lie: beside the configuration, or in the run folder."""
    return loaded.file.parent / CONF_FILE, loaded.run / CONF_FILE
