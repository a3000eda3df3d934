"""A service of a compose file, run on a folder as an engine would run it: namespaces of its own, a root that is read-only,
its user without capabilities, its tmpfs and volumes, and its entry point as process 1.

Not as an engine would: all services share one network namespace, in which each one's name is 127.0.0.1, and memory is
not limited.
"""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.images import Stage, environment_of
from support.patience import wait_for

_DEFAULT_TMPFS = "noexec,nosuid,nodev"  # what an engine adds, unless told otherwise

_ENTER = r"""
set -e
hostname "$HOSTNAME_OF"
ip link set lo up
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/dev"
for each in null zero full random urandom; do touch "$ROOT/dev/$each"; mount --bind "/dev/$each" "$ROOT/dev/$each"; done
ln -s /proc/self/fd "$ROOT/dev/fd"
mkdir -p "$ROOT/etc/fleetgen"
mount --bind "$HOSTS" "$ROOT/etc/hosts"
eval "$MOUNTS"
mount -o remount,ro,bind "$ROOT"
cd /
exec chroot "$ROOT" /usr/bin/env -i $VARIABLES /usr/bin/setpriv --reuid="$USER_ID" --regid="$GROUP_ID" --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""


def services(compose: Path) -> dict[str, dict[str, Any]]:
    """Return the services of a compose file, with the defaults of its variables."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", compose.read_text())
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return loaded


def _options(given: str, default: str) -> str:
    words = [word for word in given.split(",") if word]
    kept = [word for word in default.split(",") if word.removeprefix("no") not in words]
    return ",".join([*kept, *(word for word in words if word != "exec")])


class Container:
    """A running service; its output is in a file."""

    def __init__(
        self, name: str, service: dict[str, Any], stage: Stage, root: Path, volumes: dict[str, Path], place: Path
    ) -> None:
        self.service, self.stage = service, stage
        self._name, self._root, self._volumes, self._place = name, root, volumes, place
        self.output = place / f"{name}.output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, beside: "Container | None" = None) -> None:
        """Start it, in the network of another one if there is one."""
        hosts = self._place / "hosts"
        hosts.write_text("127.0.0.1 localhost generator prometheus grafana spark-driver spark-executor\n")
        user, _, group = str(self.service["user"]).partition(":")
        environment = {
            "PATH": os.environ["PATH"],
            "ROOT": str(self._root),
            "HOSTS": str(hosts),
            "HOSTNAME_OF": str(self.service.get("hostname", self._name)),
            "MOUNTS": "\n".join(self._mounts()),
            "VARIABLES": " ".join(f"{name}={value}" for name, value in environment_of(self.stage).items()),
            "USER_ID": user,
            "GROUP_ID": group,
        }
        joined = ["nsenter", f"--target={beside.pid}", "--net"] if beside else []
        own = [
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            *([] if beside else ["--net"]),
        ]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*joined, *own, "sh", "-c", _ENTER, "sh", *self.command],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        wait_for(lambda: self.process is not None and self._children(self.process.pid), 20, "The container")

    @property
    def command(self) -> list[str]:
        """Its entry point with the command that the compose file, or else the image, gives it."""
        given = self.service.get("command") or self.stage.last("CMD").words
        return [*self.stage.last("ENTRYPOINT").words, *map(str, given)]

    @property
    def pid(self) -> int:
        """The number that its process 1 has outside."""
        assert self.process is not None
        return self._children(self.process.pid)[0]

    def run(self, *command: str, network_only: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in it as its user; or one of this machine's in its network alone."""
        inside = [] if network_only else ["--mount", "--pid", "--uts", "--root", "--wd", *self._as_user()]
        environment = dict(os.environ) if network_only else environment_of(self.stage)
        return subprocess.run(
            ["/usr/bin/nsenter", f"--target={self.pid}", "--net", *inside, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def is_healthy(self) -> bool:
        """Whether the image's health check is content."""
        _, _, check = self.stage.last("HEALTHCHECK").rest.partition("CMD ")
        return self.run(*_words(check)).returncode == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send its process 1 a signal."""
        os.kill(self.pid, number)

    def end(self) -> None:
        """End it at once, if it runs."""
        if self.process is not None and self.process.poll() is None:
            for first in self._children(self.process.pid) or [self.process.pid]:
                os.kill(first, signal.SIGKILL)  # with the first process all others of its namespace end
            self.process.wait(30)

    def _as_user(self) -> list[str]:
        user, _, group = str(self.service["user"]).partition(":")
        return [f"--setuid={user}", f"--setgid={group}"]

    def _mounts(self) -> list[str]:
        return [*map(self._tmpfs, self.service["tmpfs"]), *map(self._volume, self.service["volumes"])]

    def _tmpfs(self, given: str) -> str:
        place, _, options = given.partition(":")
        return f'mount -t tmpfs -o {_options(options, _DEFAULT_TMPFS)} tmpfs "$ROOT{place}"'

    def _volume(self, given: str) -> str:
        source, place, *mode = given.split(":")
        target = f'"$ROOT{place}"'
        bound = f'mount --bind "{self._volumes[source]}" {target}'
        return f"{bound}; mount -o remount,ro,bind {target}" if mode else bound

    @staticmethod
    def _children(pid: int) -> list[int]:
        try:
            return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []


def _words(check: str) -> list[str]:
    words: list[str] = yaml.safe_load(check)
    return words
