"""Owns which `Host` of a request is this machine's: its names are, and addresses where other machines reach it.

A page whose own name was made to resolve to this machine (DNS rebinding) still bears that name in `Host`.
"""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from fleetgen.config.tables.running import is_loopback

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


def is_own_host(hosts: Sequence[str], address: str, names: frozenset[str]) -> bool:
    """Whether the Host headers of a request to this address are one, and this machine's; ``names`` are its own."""
    if len(hosts) != 1:
        return False
    name = _name_of(hosts[0])
    if name in _LOOPBACK_NAMES or name == address.lower() or name in names:
        return True
    return not is_loopback(address) and _is_address(name)  # an address cannot be made to mean another machine


def own_names(further: Sequence[str] = ()) -> frozenset[str]:
    """Return the names by which other machines may call this one: the host name, and those that somebody gave it."""
    return frozenset({socket.gethostname().lower(), *(name.lower() for name in further)})


def _name_of(host: str) -> str:
    """Return the name or address of a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
