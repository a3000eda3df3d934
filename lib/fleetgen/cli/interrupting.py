"""Owns how a command ends by Ctrl-C: at once, with status 130 and one sentence that says what is done.

Python hears of a signal between two of its own steps: a library that computes for minutes is in one. So a thread hears
of it first, from the pipe into which the interpreter's own handler writes, and stops what the command waits for.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fleetgen.cli.output import say_fault
from fleetgen.errors import EndedByHand

_GRACE_SECONDS = 2.0
"""For so long a command may let go of what it holds; whatever it was doing, a kill would have been no worse."""

_SHOWN: list[Callable[[], None]] = []
"""What ends each bar that is shown."""


def _nothing() -> None:
    """Stop nothing: Python hears of the signal by itself."""


@contextmanager
def interruptible(done: Callable[[], str], stop: Callable[[], object] = _nothing) -> Iterator[None]:
    """Let Ctrl-C end what is done in here.

    ``done`` says in the end what stands by then, in one sentence; ``stop`` is called by another thread, and stops what
    Python cannot interrupt. Raises EndedByHand.
    """
    watch = _Watch(done, stop)
    try:
        try:
            yield
        except Exception:
            watch.end()  # it has heard of everything by then: a library may have heard sooner, and failed by that
            if watch.asked:
                raise KeyboardInterrupt from None
            raise
    except KeyboardInterrupt:
        for end in _SHOWN:
            end()
        raise EndedByHand(f"Interrupted: {done()}") from None
    finally:
        watch.end()


@contextmanager
def ended_before_the_sentence(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` in the end, and before what Ctrl-C says; it may be called twice.

    Python may hear of Ctrl-C between a fault and the end of the `with` that is left by it, which is not called then: a bar that
    ends there alone would come after the sentence.
    """
    _SHOWN.append(end)
    try:
        yield
    finally:
        end()
        _SHOWN.remove(end)


class _Watch:
    """A thread that hears of Ctrl-C while the main thread does not."""

    def __init__(self, done: Callable[[], str], stop: Callable[[], object]) -> None:
        self.asked = self._has_ended = False
        self._done, self._stop = done, stop
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, name="interrupt", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Hear of nothing any more; it may be called again."""
        if self._has_ended:
            return
        self._has_ended = True
        signal.set_wakeup_fd(self._before)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def _listen(self) -> None:
        while (heard := os.read(self._reader, 1)) and heard[0] != signal.SIGINT:
            pass
        if not heard:
            return
        self.asked = True
        with suppress(Exception):  # the command ends all the same
            self._stop()
        if not select.select([self._reader], [], [], _GRACE_SECONDS)[0] or os.read(self._reader, 1):
            self._end_now()

    def _end_now(self) -> None:
        """End the process though its main thread hears nothing, or was asked a second time."""
        say_fault(f"Interrupted: {self._done()}")
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(EndedByHand.exit_status)
