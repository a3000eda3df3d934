"""Owns what a service manager such as systemd is told, over the datagram socket that it names; see sd_notify(3)."""

import os
import socket
import time
from contextlib import closing, suppress

from fleetgen.supervision.orphans import own_supervisor

_EVERY_SECONDS = 1.0
"""How often a process that turns its loop says that it is well; a unit's WatchdogSec has to be a few of these."""


def notify(address: str, state: str) -> None:
    """Send one message, such as `READY=1`; a manager that is gone, or that does not read, stops nobody.

    An address that begins with an at-sign is a name in Linux's abstract namespace.
    """
    place = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as channel:
        channel.setblocking(False)
        channel.sendto(state.encode(), place)


class Notifier:
    """Speaks for one process that a service manager started; under the set's supervisord the set speaks for all."""

    def __init__(self) -> None:
        self._address = None if own_supervisor() is not None else os.environ.get("NOTIFY_SOCKET") or None
        self._ready = False
        self._quiet_until = 0.0

    def alive(self) -> None:
        """Say once that the process is ready, and then, at most once a second, that it is well."""
        now = time.monotonic()
        if self._address is None or now < self._quiet_until:
            return
        self._quiet_until = now + _EVERY_SECONDS
        notify(self._address, "WATCHDOG=1" if self._ready else "READY=1")
        self._ready = True

    def stopping(self) -> None:
        """Say that the process stops."""
        if self._address is not None:
            notify(self._address, "STOPPING=1")
