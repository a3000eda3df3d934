"""Owns starting supervisord as fleetgen wants it: it runs supervisor's own main, with a few of its methods replaced.

A hang-up ends the set instead of restarting it, a refusal is one sentence, a lost piece of log is counted, and how a
process ended is kept.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from supervisor import options, supervisord

from fleetgen.cadence.signals import end_by_stops, fork_holding
from fleetgen.errors import FleetgenError, SystemLacks
from fleetgen.supervision.deaths import STATUSES
from fleetgen.supervision.losses import survive_losses
from fleetgen.supervision.orphans import SUPERVISOR_MARK


class _Options(options.ServerOptions):  # type: ignore[misc]
    """supervisord's options, which refuse with an exception and take a hang-up for the end."""

    ignores_hangup = False

    def usage(self, msg: Any) -> None:
        raise SystemLacks(str(msg))

    def setsignals(self) -> None:
        super().setsignals()
        if self.ignores_hangup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def get_signal(self) -> int | None:
        number: int | None = super().get_signal()
        if number != signal.SIGHUP:
            return number
        return None if self.ignores_hangup else signal.SIGTERM

    def waitpid(self) -> tuple[int | None, int | None]:
        pid, status = super().waitpid()
        if pid:
            STATUSES[pid] = status
        return pid, status

    def fork(self) -> int:
        """Begin a process of the set; whoever sends it a signal before it can decide about it does not kill it."""
        return fork_holding(super().fork)

    def execve(self, filename: str, argv: list[str], env: dict[str, str]) -> None:
        """Become a process of the set. What would have been noted still waits; a stop ends it as it ends any program."""
        end_by_stops()
        super().execve(filename, argv, env)

    def close_logger(self) -> None:
        with suppress(OSError):
            super().close_logger()


class _Supervisor(supervisord.Supervisor):  # type: ignore[misc]
    """A supervisord that knows whether it came as far as its loop."""

    runs = False

    def runforever(self) -> None:
        type(self).runs = True
        super().runforever()


def main() -> None:
    """Run supervisord with the arguments of this process until the set has ended."""
    _open_standard_descriptors()
    os.environ[SUPERVISOR_MARK] = str(os.getpid())
    _Options.ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    survive_losses()
    supervisord.ServerOptions, supervisord.Supervisor = _Options, _Supervisor
    try:
        supervisord.main()
    except KeyboardInterrupt:
        exec("pass")  # noqa: S102 - see fleetgen/__main__.py
        sys.exit(128 + signal.SIGINT)
    except Exception as fault:
        if _Supervisor.runs:
            raise
        _refuse(fault)


def _refuse(fault: Exception) -> None:
    told = str(fault) if isinstance(fault, (FleetgenError, OSError)) else f"{type(fault).__name__}: {fault}"
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"fleetgen: supervisord could not start: {told}\n")
    sys.exit(SystemLacks.exit_status)


def _open_standard_descriptors() -> None:
    """Let nothing else that is opened get the number of a standard descriptor that is closed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


if __name__ == "__main__":
    main()
