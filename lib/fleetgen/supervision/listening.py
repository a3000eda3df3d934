"""Owns the try whether a program's process could listen on its port."""

import errno
import socket
from contextlib import closing

from fleetgen.errors import ConfigurationError
from fleetgen.supervision.programs import Program


def refusal_to_listen(program: Program, port: int | None = None) -> str | None:
    """Return why a process could not listen there, such as ``is in use``; None if it could.

    Another port than the program's, such as 0, tries its address alone. Raises ConfigurationError for an address that is
    none of this machine.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            program.address, program.port if port is None else port, type=socket.SOCK_STREAM
        )[0]
    except (OSError, UnicodeError) as unknown:  # UnicodeError: no name that could be looked up
        raise ConfigurationError(
            f'{program.section}.address = "{program.address}" is no address of this machine: set it to one, such as '
            '"127.0.0.1".'
        ) from unknown
    try:
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as refused:
        return "is in use" if refused.errno == errno.EADDRINUSE else f"cannot be used ({refused.strerror})"
    return None
