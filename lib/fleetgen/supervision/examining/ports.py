"""Owns the look at the set that may run, and at the ports that its processes listen on."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import FleetgenError, Unreachable, UsageError
from fleetgen.supervision.examining.finding import Finding, fault, fine, refusal
from fleetgen.supervision.finding import set_of
from fleetgen.supervision.programs import Program, programs, recorded_offset, recorded_programs

_LIVING = ("STARTING", "RUNNING", "STOPPING")


def ports(loaded: LoadedConfig) -> Iterator[Finding]:
    """Yield whether the set runs, and of each port whether its process could listen, or does so already."""
    supervisor = set_of(loaded)
    running = supervisor.is_up()
    own: set[int] = set()
    try:
        if running:
            living = {each.name for each in supervisor.processes() if each.state in _LIVING}
            own = {program.port for program in recorded_programs(loaded) if program.name in living}
            yield fine("set", f"runs: supervisord is process {supervisor.pid()}, and {len(living)} processes live")
        else:
            yield fine("set", "does not run")
    except Unreachable as silent:
        yield refusal("set", silent)
    try:
        wanted = programs(loaded, recorded_offset(loaded) if running else 0)
    except UsageError as beyond:
        yield refusal("ports", beyond)
        return
    for program in wanted:
        yield _port(program, program.port in own)


def _port(program: Program, is_own: bool) -> Finding:
    check, place = f"port {program.name}", f"{program.port} on {program.address}"
    if is_own:
        return fine(check, f"{place}: this set listens there")
    try:
        _listen(program)
    except FleetgenError as refused:
        return refusal(check, refused)
    except OSError as refused:
        taken = "is in use" if refused.errno == errno.EADDRINUSE else f"cannot be used ({refused.strerror})"
        remedy = (
            f"end what listens there (`ss -ltnp 'sport = :{program.port}'` names it), set {program.port_key} to a free "
            "port, or move all ports with `fleetgen up --port-offset 100`"
        )
        return fault(check, f"{place} {taken}", remedy)
    return fine(check, f"{place} is free")


def _listen(program: Program) -> None:
    """Listen for a moment; raises OSError where that cannot be."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(program.address, program.port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as unknown:
        raise UsageError(
            f'{program.section}.address = "{program.address}" is no address of this machine: set it to one, such as '
            '"127.0.0.1"'
        ) from unknown
    with closing(socket.socket(family, kind, protocol)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(place)
        probe.listen(1)
