"""Owns a Debian of its own: a root folder in namespaces of its own, with its own network, beside the machine's; needs root."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = "python3,adduser"


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
    root = folder / "root"
    debian = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)]
    made = subprocess.run(debian, capture_output=True, text=True, timeout=900, check=False)
    assert made.returncode == 0, made.stderr
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc"]
    inside = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /tmp && exec sleep infinity"
    holding = subprocess.Popen([*unshare, "chroot", str(root), "/bin/sh", "-c", inside])
    try:
        holder = _child(holding)
        subprocess.run(["nsenter", "-t", str(holder), "-n", "ip", "link", "set", "lo", "up"], check=True)
        yield ForeignRoot(root, holder)
    finally:
        holding.kill()
        holding.wait()


def _child(parent: "subprocess.Popen[bytes]") -> int:
    """Return the process that is the first in the namespace, once it has laid everything out."""
    listing = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    for _ in range(600):
        assert parent.poll() is None, "the namespace could not be made"
        for child in listing.read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                return int(child)
        time.sleep(0.1)
    raise AssertionError("the namespace was not ready in time")
