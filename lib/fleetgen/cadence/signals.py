"""Owns which signals the processes of a set decide about, and holding them until a process does: none kills, none is lost.

A signal that is held stays with the process, also over the start of another program in it, until it is let through.
"""

import signal
from collections.abc import Callable

STOPPING = (signal.SIGTERM, signal.SIGINT)
NOTED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""They would end a process that has decided nothing about them."""

MEANT_FOR: dict[int, str] = {
    signal.SIGUSR1: "company and driver pause on it",
    signal.SIGUSR2: "company and driver resume on it",
    signal.SIGHUP: "an edit of the configuration is noticed without it",
}
"""What each of them is about, for whoever sent it to a process to which it means nothing."""


def hold() -> None:
    """Keep these signals waiting from now on, for this process and the program that it becomes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, NOTED)


def fork_holding(fork: Callable[[], int]) -> int:
    """Fork such that every signal that reaches the child waits from its first instant on; return what `fork` returns."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*NOTED, *STOPPING))
    in_child = False
    try:
        pid = fork()
        in_child = pid == 0
        return pid
    finally:
        if not in_child:  # there, they wait until the child has become the program that it is to be
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_by_stops() -> None:
    """Let a request to stop end this process at once, also one that has waited, in place of what its parent does at one."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def let_through() -> None:
    """Let those come that have waited, and those that follow."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NOTED)
