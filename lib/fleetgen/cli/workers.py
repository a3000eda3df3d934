"""Owns how the worker processes of a command start: none of them outlives it."""

import multiprocessing
import os
import signal

from fleetgen.machine import die_with_parent
from fleetgen.processes.memory import keep_freed_memory


def start_maker() -> None:
    """Let a worker that makes batches end with the command, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _start()


def start_checker() -> None:
    """Let a worker that only looks end at once by Ctrl-C, as the command does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _start()


def end_workers() -> None:
    """End all worker processes of this command at once: what they make is not published before the command takes it."""
    for worker in multiprocessing.active_children():
        worker.kill()


def _start() -> None:
    die_with_parent()
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # the command was killed before this worker could ask to die with it
