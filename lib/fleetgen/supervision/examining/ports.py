"""Owns the look at the set that may run, and at the ports that its processes listen on."""

from collections.abc import Iterator

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import FleetgenError, Unreachable, UsageError
from fleetgen.supervision.examining.finding import Finding, fault, fine, refusal
from fleetgen.supervision.finding import set_of
from fleetgen.supervision.listening import refusal_to_listen
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
        refused = refusal_to_listen(program)
    except FleetgenError as unusable:
        return refusal(check, unusable)
    if refused is None:
        return fine(check, f"{place} is free")
    remedy = (
        f"end what listens there (`ss -ltnp 'sport = :{program.port}'` names it), set {program.port_key} to a free port, "
        "or move all ports with `fleetgen up --port-offset 100`"
    )
    return fault(check, f"{place} {refused}", remedy)
