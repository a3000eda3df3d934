"""Owns which signals the processes of a set decide about, and holding them until a process does: none kills, none is lost.

A signal that is held stays with the process, also over the start of another program in it, until it is let through.
"""

import signal

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


def let_through() -> None:
    """Let those come that have waited, and those that follow."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NOTED)
