"""Owns Debians of their own: root folders in namespaces of their own, with networks of their own; needs root."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = "python3,adduser"
_SYSTEMD = "systemd,systemd-sysv,dbus,procps"


class ForeignRoot:
    """A Debian that was just set up: calls run inside it, and files lie below `folder`."""

    def __init__(self, folder: Path, holder: int) -> None:
        self.folder, self._holder = folder, holder

    def command(self, *arguments: str, user: str = "root") -> list[str]:
        enter = ["nsenter", "-t", str(self._holder), "-m", "-n", "-p", "-r", "-w"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        return [*enter, *clean, "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *arguments]

    def call(self, *arguments: str, user: str = "root", seconds: float = 300) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments, user=user)
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )

    def told(self, *arguments: str, user: str = "root") -> str:
        """Return what a call that went well printed."""
        done = self.call(*arguments, user=user)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def __truediv__(self, path: str) -> Path:
        return self.folder / path.lstrip("/")


@contextmanager
def foreign_root(folder: Path) -> Iterator[ForeignRoot]:
    """Set one up by mmdebstrap; what runs in it ends with it."""
    root = _debian(folder, _PACKAGES)
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc"]
    inside = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /tmp && exec sleep infinity"
    holding = subprocess.Popen([*unshare, "chroot", str(root), "/bin/sh", "-c", inside])
    try:
        holder = _child(holding, "sleep")
        subprocess.run(["nsenter", "-t", str(holder), "-n", "ip", "link", "set", "lo", "up"], check=True)
        yield ForeignRoot(root, holder)
    finally:
        holding.kill()
        holding.wait()


@contextmanager
def booted_root(folder: Path) -> Iterator[ForeignRoot]:
    """Set one up and start its own systemd in it, by systemd-nspawn; its shutdown ends what runs in it."""
    root = _debian(folder, f"{_PACKAGES},{_SYSTEMD}")
    nspawn = ["systemd-nspawn", "-D", str(root), "--boot", "--quiet", "--private-network", "--register=no"]
    if not Path("/run/systemd/system").exists():
        nspawn.append("--keep-unit")  # of the machine's own systemd, which is not there
    with (folder / "boot").open("wb") as output:
        booting = subprocess.Popen([*nspawn, "--console=pipe"], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        booted = ForeignRoot(root, _child(booting, "systemd"))
        state = _once_started(booted)
        assert state == "running", f"{state}: {(folder / 'boot').read_text()}"
        yield booted
    finally:
        booting.terminate()  # nspawn has systemd end everything
        try:
            booting.wait(90)
        except subprocess.TimeoutExpired:
            booting.kill()
            booting.wait()


def _debian(folder: Path, packages: str) -> Path:
    root = folder / "root"
    debian = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(root)]
    made = subprocess.run(debian, capture_output=True, text=True, timeout=900, check=False)
    assert made.returncode == 0, made.stderr
    return root


def _once_started(root: ForeignRoot) -> str:
    """Return the state of a systemd that has just begun, once it is through; until it answers, each call fails."""
    for _ in range(120):
        state = root.call("systemctl", "is-system-running").stdout.strip()
        if state not in {"", "offline", "initializing", "starting"}:
            return state
        time.sleep(0.5)
    return "never started"


def _child(parent: "subprocess.Popen[bytes]", name: str) -> int:
    """Return the process of this name that is the first in the namespace, once it has laid everything out."""
    listing = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    for _ in range(600):
        assert parent.poll() is None, "the namespace could not be made"
        for child in listing.read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == f"{name}\n":
                return int(child)
        time.sleep(0.1)
    raise AssertionError("the namespace was not ready in time")
