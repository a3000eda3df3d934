"""Owns `fleetgen export`: the set in the form that another program takes."""

import re
from pathlib import Path

import click

from fleetgen.cli.output import with_config
from fleetgen.config.loading import load
from fleetgen.errors import UsageError
from fleetgen.storage.files import make_folder, make_private, replace_file
from fleetgen.supervision.programs import record_programs
from fleetgen.supervision.units import TARGET, units

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@click.group
def export() -> None:
    """Write the set in the form that another program takes."""


@export.command
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--user", help="The user that the processes run as: for the system's manager, hardened.")
@click.option("--port-offset", type=click.IntRange(0, 60_000), default=0, help="Added to every port: for a second set.")
@with_config
def systemd(folder: Path, user: str | None, port_offset: int, config_file: Path) -> None:
    """Write a target, and a unit for each process, into DIR: systemd in the place of supervisord."""
    if user is not None and not _USER.fullmatch(user):
        raise UsageError(f"--user {user!r} is no name of a user: letters, digits, '_' and '-', such as fleetgen.")
    loaded = load(config_file)
    written = units(loaded, port_offset, user)
    make_private(loaded.run)
    make_folder(loaded.layout.logs)
    record_programs(loaded, port_offset)
    make_folder(folder)
    for name, text in written.items():
        replace_file(folder / name, text.encode())
    click.echo(f"Wrote {', '.join(written)} into {folder}. Then: systemctl daemon-reload, systemctl start {TARGET}.")
