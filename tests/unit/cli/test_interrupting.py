"""What is done ends by Ctrl-C with one sentence, whoever hears of it first: Python, the thread, or a library."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from fleetgen.cli.interrupting import interruptible
from fleetgen.errors import EndedByHand


@pytest.fixture
def heard_by_libraries() -> Iterator[None]:
    """Python's own handler does nothing, as where a library has asked for signals before Python comes to it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_by_libraries")
@pytest.mark.parametrize("fault", [RuntimeError("Query interrupted"), OSError(5, "cut")])
def test_a_library_that_hears_of_it_first_and_fails_is_no_fault(fault: Exception) -> None:
    for _ in range(20):
        with pytest.raises(EndedByHand, match="Interrupted: all stands"), interruptible(lambda: "all stands"):
            os.kill(os.getpid(), signal.SIGINT)
            raise fault


def test_what_fails_without_it_fails_as_ever() -> None:
    with pytest.raises(RuntimeError, match="by itself"), interruptible(lambda: "all stands"):
        raise RuntimeError("by itself")
    assert [each.name for each in threading.enumerate() if each.name == "interrupt"] == []


@pytest.mark.usefixtures("heard_by_libraries")
def test_what_python_cannot_interrupt_is_stopped() -> None:
    stopped = threading.Event()
    with pytest.raises(EndedByHand, match="Interrupted: all stands"), interruptible(lambda: "all stands", stopped.set):
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped.wait(10)
        raise RuntimeError("stopped")
