"""Owns the look, before anything is begun, at what Spark needs: pyspark, Java, and a master that answers.

It imports none of them.
"""

import os
import re
import shutil
import socket
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from fleetgen.errors import SystemLacks, Unreachable, UsageError

OLDEST_JAVA = 17

_ANSWER_SECONDS = 5
_STANDALONE = "spark://"
_PORT = 7077
_MASTER = re.compile(r"(local(\[[^]]+\])?|spark://\S+|yarn|k8s://\S+)")


def check_surroundings(master: str) -> None:
    """Raise a FleetgenError that says what to do unless Spark can be started and its master answers."""
    if not _MASTER.fullmatch(master):
        raise UsageError(f"--master {master!r} is no master of Spark: write spark://HOST:7077 or local[2].")
    check_pyspark()
    check_java()
    check_master(master)


def check_pyspark() -> None:
    """Raise SystemLacks where pyspark is not installed."""
    if find_spec("pyspark") is None:
        raise SystemLacks("Spark needs the package pyspark: install it with `pip install 'fleetgen[spark]'`.")


def check_java() -> None:
    """Raise SystemLacks where the Java that Spark would start is missing or too old."""
    found = java()
    remedy = f"install Java {OLDEST_JAVA} (Debian: openjdk-17-jre-headless), or let JAVA_HOME name it."
    if found is None:
        named = os.environ.get("JAVA_HOME")
        where = f", and JAVA_HOME={named} has none" if named else ""
        raise SystemLacks(f"Spark needs Java{where}: {remedy}")
    version = _java_version(found)
    if version is None or version < OLDEST_JAVA:
        raise SystemLacks(f"Spark needs Java {OLDEST_JAVA} or newer, and {found} is not: {remedy}")


def java() -> str | None:
    """Return the path of the program that Spark's own scripts would take."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return shutil.which("java", path=str(Path(home) / "bin"))
    return shutil.which("java")


def _java_version(program: str) -> int | None:
    """Return the first number of the version, 8 for what calls itself 1.8; None where it does not start."""
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found.group(1)) if done.returncode == 0 and found else None


def check_master(master: str) -> None:
    """Raise Unreachable unless one of a standalone cluster's masters takes a connection; others are Spark's to find."""
    addresses = standalone_addresses(master)
    if addresses and not any(_answers(*address) for address in addresses):
        raise Unreachable(
            f"The Spark master {master} does not answer: start it (`make spark-up`), or name another with --master."
        )


def standalone_addresses(master: str) -> list[tuple[str, int]]:
    """Return host and port of each of a standalone cluster's masters; nothing for other kinds of masters."""
    if not master.startswith(_STANDALONE):
        return []
    found = []
    for each in master.removeprefix(_STANDALONE).split(","):
        host, _, port = each.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise UsageError(f"--master {master!r} has no host and port: write it as spark://HOST:{_PORT}.")
        found.append((host.strip("[]"), int(port)))
    return found


def on_this_machine(master: str) -> bool:
    """Whether executors reach the driver by the loopback address."""
    hosts = [host for host, _ in standalone_addresses(master)]
    return master.startswith("local") or (bool(hosts) and set(hosts) <= {"127.0.0.1", "localhost"})


def _answers(host: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((host, port), _ANSWER_SECONDS)):
            return True
    except OSError:
        return False
