"""Owns a person who reads a page of the docs beside a checkout and types what it says, on a machine with nothing else on it.

The person has a folder, ``/home/you``, with the checkout in it, a ``/tmp``, and the ports of a machine of their own: a network
namespace, in which nothing but their folder can be written. Their sets make a batch of each stream every two
seconds, where the pages have ten, and ``sleep`` is as much shorter; a day of history is an hour there.
"""

import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType

import pytest
import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from support.configs import REPOSITORY
from support.documented import Block, Step, blocks, differs, is_among, steps
from support.patience import wait_for

_PROGRAMS = ("curl", "jq", "lnav", "openssl", "promtool")
_FASTER = 5
_FOREGROUND = re.compile(r"(bin/)?fleetgen up\b|make run\b")
_FOLLOWING = re.compile(r"\blogs\b[^|]* -f\b|\btail\b.* -F\b|\bcurl -s?N|/api/events\b")
_SLEEP = f"""
sleep() {{{{
    if grep -q '"PT10S"' {{checkout}}/etc/generator.toml; then command sleep $1; else command sleep $(( $1 / {_FASTER} )); fi
}}}}
"""
"""As long as it is said where a preset has put the ten seconds back."""
_STARTED = re.compile(r"Starting control process.*Pipeline carried batch.* of events", re.DOTALL)
_OWN_MACHINE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_LOOPBACK_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 1))"
_NOTHING_ELSE = "mount --bind {home} {home} && mount -o remount,bind,ro / && cd {home}/fleetgen"
"""For root, who could write elsewhere."""
_A_DAY_LATER = re.compile(r"2026-01-02T0(0|6):")
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
_COLUMNS = 120
_TOP_LEVEL = ("bin", "docs", "etc", "packaging", "Makefile", "pyproject.toml")


def type_all(page: Path, home: Path, beside_a_set: bool = False, exact: bool = False) -> None:
    """Do what a page says from top to bottom; skip the test where this machine lacks a program that it names."""
    text = page.read_text()
    if reason := lacks(*[each for each in _PROGRAMS if re.search(rf"^[^`]*\b{each} ", text, re.MULTILINE)]):
        pytest.skip(reason)
    with Reader(home, exact) as reader:
        if beside_a_set:
            reader.start_set()
        for block in blocks(page):
            reader.read(block)


@cache
def lacks(*programs: str) -> str:
    """Return what this machine lacks for a person with these programs to have a machine of their own."""
    for program in ("unshare", "bash", *programs):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    trial = subprocess.run([*_own_machine(), "true"], capture_output=True, text=True, check=False)
    return f"no namespace of its own can be had here: {trial.stderr.strip()}" if trial.returncode else ""


def _own_machine() -> list[str]:
    return _OWN_MACHINE if os.geteuid() == 0 else [*_OWN_MACHINE, "--map-root-user"]


class Reader:
    """Types the commands of a page into one shell, and looks at what is shown."""

    def __init__(self, home: Path, exact: bool = False) -> None:
        self.home, self.exact = home, exact
        self.checkout = home / "fleetgen"
        self._lay_out()
        self._shell = self._start_shell()
        self._commands = 0
        self._status = 0
        self._screens: list[Screen] = []
        """Of everything that was typed; what runs beside still writes on its own."""
        self._type(f"{sys.executable} -c {_quoted(_LOOPBACK_UP)}")
        if os.geteuid() == 0:
            self._type(_NOTHING_ELSE.format(home=home))
        self._type(_SLEEP.format(checkout=self.checkout))

    def start_set(self) -> None:
        """Start the set of the checkout in another terminal, and wait until it works."""
        self._works(self._beside("bin/fleetgen up"))

    def read(self, block: Block) -> None:
        """Do what a block says."""
        if block.mark == "not run":
            return
        if block.mark == "file":
            (self.checkout / block.says).write_text(self._here(block.text))
        elif block.language in {"console", "sh"}:
            for step in steps(block):
                self._take(step)
        elif block.language == "toml":
            self._edit(self._here(block.text))
        elif block.language == "sql":  # lnav's: what fleetgen is asked stands in commands
            self._type(f"lnav -n -c {_quoted(';' + block.text)} data/manifests/logs/*.jsonl")
            assert self._status == 0, f"line {block.line}: {self._screens[-1].shown}"
        elif block.language == "":
            self._look_for(block)
        else:
            to_be_read = {"json", "promql", "logql", "yaml"}
            assert block.language in to_be_read, f"line {block.line}: nobody looks at this block"

    @property
    def transcript(self) -> str:
        """All that was shown so far, in all terminals."""
        return "".join(screen.shown for screen in self._screens)

    def _take(self, step: Step) -> None:
        command = self._here(step.command).replace("make run", "bin/fleetgen up")
        shown = [self._here(line) for line in step.shown] if step.shown is not None else None
        if _FOREGROUND.match(command) or _FOLLOWING.search(command):
            screen = self._beside(command)
            self._see(step, screen, shown or [])
            if _FOREGROUND.match(command):
                self._works(screen)  # what is asked next is answered by a set that is there
            return
        printed = self._type(command).rstrip().splitlines()
        is_refused = shown is not None and any(line.startswith("fleetgen: ") for line in (*shown, *printed))
        assert self._status == 0 or is_refused, f"line {step.line}: {command} ends with {self._status}\n" + "\n".join(
            printed
        )
        if shown:
            difference = differs(shown, printed, self.exact)
            assert not difference, f"line {step.line}: {command}\n{difference}"

    def _works(self, screen: "Screen") -> None:
        """Wait until a set that was started has carried a batch."""
        with suppress(AssertionError):
            wait_for(lambda: _STARTED.search(screen.shown), 40, "The set")
        assert _STARTED.search(screen.shown), screen.shown

    def _see(self, step: Step, screen: "Screen", lines: Sequence[str]) -> None:
        """Wait until a command that goes on has shown the lines of the page, in any order."""

        def missing() -> list[str]:
            printed = screen.shown.splitlines()
            return [line for line in lines if line.strip() and not is_among(line, printed)]

        with suppress(AssertionError):
            wait_for(lambda: screen.shown and not missing(), 30, "All lines")
        assert not missing(), f"line {step.line}: {step.command} does not show {missing()}\n{screen.shown}"

    def _look_for(self, block: Block) -> None:
        """Wait until the lines of a block have been shown by something."""
        lines = [self._here(line) for line in block.text.splitlines() if line.strip()]

        def missing() -> list[str]:
            printed = self.transcript.splitlines()
            return [line for line in lines if not is_among(line, printed)]

        with suppress(AssertionError):
            wait_for(lambda: not missing(), 20, "All lines")
        assert not missing(), f"line {block.line}: nothing shows {missing()}; shown was\n{self.transcript}"

    def _type(self, command: str, seconds: float = 120) -> str:
        """Let the shell run a command to its end, and return what it shows."""
        script, screen = self._script(command)
        done = script.with_suffix(".status")
        typed = f"(exit {self._status}); . {script} </dev/null >{screen.path} 2>&1"
        self._tell(f"{typed}; echo $? >{done}.new; mv {done}.new {done}")
        until = time.monotonic() + seconds * _FASTER
        while not done.exists():
            assert time.monotonic() < until, f"{command} does not end; it shows\n{screen.shown}"
            assert self._shell.poll() is None, f"The shell ends at {command}"
            _ = screen.shown
            time.sleep(0.01)
        self._status = int(done.read_text())
        return screen.shown

    def _beside(self, command: str) -> "Screen":
        """Let another terminal run a command that goes on, and return where it shows what it does."""
        script, screen = self._script(command)
        self._tell(f". {script} </dev/null >{screen.path} 2>&1 &")
        return screen

    def _script(self, command: str) -> tuple[Path, "Screen"]:
        self._commands += 1
        script = self.home / ".typed" / f"{self._commands:03}.sh"
        script.write_text(command + "\n")
        self._screens.append(Screen())
        return script, self._screens[-1]

    def _tell(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(line + "\n")
        self._shell.stdin.flush()

    def _here(self, text: str) -> str:
        """Return a text of a page with the folders of this person."""
        text = _A_DAY_LATER.sub(lambda found: f"2026-01-01T0{1 + int(found[1]) // 6}:", text)
        here = {"/home/you": str(self.home), "/tmp": f"{self.home}/tmp"}
        return re.sub(r"(?<![\w/.])(/home/you|/tmp)\b", lambda found: here[found[1]], text)

    def _edit(self, text: str) -> None:
        """Put the keys of a block into the configuration of the checkout."""
        file = self.checkout / "etc" / "generator.toml"
        document = tomlkit.parse(file.read_text())
        _merge(document, tomlkit.parse(text))
        file.write_text(tomlkit.dumps(document))

    def _lay_out(self) -> None:
        """Make the folders, and a checkout whose environment is that of the tests."""
        environment = self.checkout / ".venv"
        for folder in (environment, self.home / "tmp", self.home / ".typed", self.home / "bin"):
            folder.mkdir(parents=True)
        ours = Path(sys.prefix)
        for name in ("bin", "lib", "lib64", "pyvenv.cfg", "share"):
            if (ours / name).exists():
                (environment / name).symlink_to(ours / name)
        (environment / ".run").write_text(f"{environment.resolve()}\n")
        (self.home / "bin" / "fleetgen").symlink_to(ours / "bin" / "fleetgen")
        for name in _TOP_LEVEL:
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
            copy(REPOSITORY / name, self.checkout / name)
        settings = self.checkout / "etc" / "generator.toml"
        fast = f'"PT{10 // _FASTER}S"'
        settings.write_text(settings.read_text().replace('"PT10S"', fast))

    def _start_shell(self) -> "subprocess.Popen[str]":
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "JAVA_HOME") if name in os.environ}
        path = f"{self.home}/bin:{os.environ['PATH']}"
        own = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "TERM": "dumb", "NO_COLOR": "1"}
        environment = kept | own | {"PATH": path}
        command = [*_own_machine(), "bash", "--noprofile", "--norc"]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, text=True, cwd=self.checkout, env=environment, start_new_session=True
        )  # a session of its own: `kill 0` reaches no further

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self._shell.send_signal(signal.SIGKILL)  # and with it everything on this machine
        self._shell.wait()
        for screen in self._screens:
            screen.close()


class Screen:
    """A terminal of its own without colours, and what was written to it so far."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, _COLUMNS, 0, 0))
        self.path = os.ttyname(self._slave)
        self._raw = b""

    @property
    def shown(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            self._raw += os.read(self._master, 65_536)
        return _CONTROLS.sub("", self._raw.decode(errors="replace"))

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


def _merge(into: TOMLDocument | Table, what: TOMLDocument | Table) -> None:
    for key, value in what.items():
        if isinstance(value, Table) and key in into:
            _merge(into[key], value)
        else:
            into[key] = value


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
