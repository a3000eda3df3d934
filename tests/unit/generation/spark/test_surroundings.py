"""The look at what Spark needs: each lack is told with what to do, before anything is begun."""

import socket
import sys
from pathlib import Path

import pytest

from fleetgen.errors import SystemLacks, Unreachable, UsageError
from fleetgen.generation.spark.surroundings import (
    check_java,
    check_master,
    check_pyspark,
    check_surroundings,
    on_this_machine,
    standalone_addresses,
)
from support.sets import free_ports


def java_saying(folder: Path, version: str) -> Path:
    """A folder for JAVA_HOME with a program that answers as Java does."""
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "16"])
def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_saying(tmp_path, version)))
    with pytest.raises(SystemLacks, match="Java 17 or newer"):
        check_java()


@pytest.mark.parametrize("version", ["17", "17.0.9", "21.0.1"])
def test_a_newer_java_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_saying(tmp_path, version)))
    check_java()


def test_no_java_is_told_of_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SystemLacks, match="install Java 17"):
        check_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemLacks, match="JAVA_HOME"):
        check_java()


def test_no_pyspark_is_told_of_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(SystemLacks, match="pip install") as told:
        check_pyspark()
    assert told.value.exit_status == 71


@pytest.mark.parametrize("master", ["", "here", "locally", "local[", "spark://", "http://127.0.0.1:7077"])
def test_what_is_no_master_is_refused(master: str) -> None:
    with pytest.raises(UsageError):
        check_surroundings(master)


@pytest.mark.parametrize("master", ["spark://host", "spark://:7077", "spark://host:seven", "spark://host:70777"])
def test_a_master_without_host_or_port_is_refused(master: str) -> None:
    with pytest.raises(UsageError, match="host and port"):
        standalone_addresses(master)


def test_one_of_several_masters_needs_to_answer() -> None:
    closed = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_master(f"spark://127.0.0.1:{closed},127.0.0.1:{port}")
    with pytest.raises(Unreachable, match="does not answer") as told:
        check_master(f"spark://127.0.0.1:{closed}")
    assert told.value.exit_status == 69


def test_masters_of_other_kinds_are_left_to_spark() -> None:
    check_master("yarn")
    check_master("local[2]")


def test_only_loopback_is_this_machine() -> None:
    assert on_this_machine("local[2]")
    assert on_this_machine("spark://127.0.0.1:7077")
    assert not on_this_machine("spark://127.0.0.1:7077,head:7077")
    assert not on_this_machine("yarn")
