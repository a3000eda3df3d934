"""The Debian package: what it holds, and in a Debian of its own how it is installed, started, upgraded, removed and purged.

`make test` looks at a package without the packages of the lock; `make test-deb` builds and installs the whole one.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.configs import REPOSITORY, SHIPPED
from support.debian import BUILDERS, IS_LONG, built, install, lacking
from support.foreign_roots import ForeignRoot, foreign_root
from support.patience import wait_for

pytestmark = pytest.mark.skipif(bool(BUILDERS), reason=f"no Debian package is built here, without {BUILDERS}")
long = pytest.mark.skipif(not IS_LONG, reason="takes a quarter of an hour, and a network: `make test-deb` does it")
needs_systemd = pytest.mark.skipif(bool(lacking("systemd-analyze")), reason="systemd-analyze is not here")

CONFIG = "/etc/fleetgen/generator.toml"
EVENTS = "/var/lib/fleetgen/data/raw/events"
UNIT = "/lib/systemd/system/fleetgen.service"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def inside(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it holds, with what dpkg is told of it in DEBIAN."""
    folder = tmp_path_factory.mktemp("inside")
    subprocess.run(["dpkg-deb", "-R", str(package), str(folder)], check=True)
    return folder


def test_two_builds_have_one_hash(package: Path, tmp_path: Path) -> None:
    again = built(tmp_path / "again", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7", TMPDIR=str(tmp_path))
    assert again.name == package.name
    assert again.read_bytes() == package.read_bytes()


def test_the_configuration_is_ours_with_the_folders_of_a_service(inside: Path) -> None:
    assert (inside / "DEBIAN/conffiles").read_text().split() == [CONFIG]
    config, shipped = ((path).read_text().splitlines() for path in (inside / CONFIG[1:], SHIPPED))
    assert [line for line in config if line not in shipped] == [
        "#:schema file:///usr/share/fleetgen/generator.schema.json",
        'data = "/var/lib/fleetgen/data"',
        'run = "/run/fleetgen"',
    ]
    assert len(config) == len(shipped)


def test_every_folder_that_shells_and_tools_look_into_has_its_file(inside: Path) -> None:
    for place, shell in (
        ("bash-completion/completions/fleetgen", "bash"),
        ("zsh/vendor-completions/_fleetgen", "zsh"),
        ("fish/vendor_completions.d/fleetgen.fish", "fish"),
    ):
        completion = REPOSITORY / "packaging/completions" / f"fleetgen.{shell}"
        assert (inside / "usr/share" / place).read_bytes() == completion.read_bytes()
    assert (inside / "usr/share/fleetgen/generator.schema.json").is_file()
    assert (inside / "usr/bin/fleetgen").stat().st_mode & 0o777 == 0o755
    assert re.search(r"^Depends: .*python3 \(>= 3\.\d+\)", (inside / "DEBIAN/control").read_text(), re.MULTILINE)


@needs_systemd
def test_systemd_finds_no_fault_with_the_unit_as_it_is_installed(inside: Path, tmp_path: Path) -> None:
    # Given a root folder with what the unit names: of the package, and of every Debian
    for place in (UNIT[1:], "usr/lib/fleetgen/bin/fleetgen"):
        (tmp_path / place).parent.mkdir(parents=True)
        shutil.copy(inside / place, tmp_path / place)
    for target in Path("/lib/systemd/system").glob("*.target"):
        shutil.copy(target, (tmp_path / UNIT[1:]).parent)
    (tmp_path / "bin").mkdir()
    shutil.copy("/bin/ln", tmp_path / "bin")
    analyze = ["systemd-analyze", f"--root={tmp_path}"]

    # When systemd reads it
    command = [*analyze, "verify", "--man=no", "fleetgen.service"]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    command = [*analyze, "security", "--offline=true", "--threshold=15", "fleetgen.service"]
    hardened = subprocess.run(command, capture_output=True, text=True, check=False)

    # Then it has nothing to say
    assert (verified.returncode, verified.stderr) == (0, "")
    assert hardened.returncode == 0, hardened.stdout + hardened.stderr


@long
@pytest.mark.skipif(bool(lacking("lintian")), reason="lintian is not here")
def test_lintian_finds_no_error(package: Path) -> None:
    command = ["lintian", "--fail-on", "error", "--allow-root", str(package)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


def next_version(package: Path, folder: Path) -> Path:
    """Return the package of a version to come, with another default in its configuration."""
    subprocess.run(["dpkg-deb", "-R", str(package), str(folder)], check=True)
    control, config, sums = folder / "DEBIAN/control", folder / CONFIG[1:], folder / "DEBIAN/md5sums"
    control.write_text(re.sub(r"^Version: .*$", "Version: 99.0-1", control.read_text(), flags=re.MULTILINE))
    config.write_text(config.read_text() + "# a default of the new version\n")
    (version,) = folder.glob("usr/lib/fleetgen/lib/python3*/site-packages/fleetgen/__init__.py")
    version.write_text(re.sub(r'__version__ = ".*"', '__version__ = "99.0"', version.read_text()))
    sums.unlink()
    newer = folder.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(folder), str(newer)], check=True)
    return newer


def batches(root: ForeignRoot) -> int:
    return len(list((root / EVENTS).glob("2*")))


@contextmanager
def running(root: ForeignRoot, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the set as the unit does; systemd's part, folders, user and variables, is done here."""
    unit = (root / UNIT).read_text()
    root.told("install", "-d", "-o", "fleetgen", "-g", "fleetgen", "-m", "0700", "/run/fleetgen")
    before, start = (re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE) for key in ("ExecStartPre", "ExecStart"))
    for line in before:
        root.told(*line.split(), user="fleetgen")
    with (folder / "output").open("ab") as output:
        command = root.command("sh", "-c", f"cd /var/lib/fleetgen && umask 0027 && exec {start[0]}", user="fleetgen")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            already = batches(root)
            wait_for(lambda: batches(root) > already or process.poll() is not None, 180, "A batch")
            assert process.poll() is None, (folder / "output").read_text()
            yield process
        finally:
            if process.poll() is None:
                root.call("fleetgen", "down")
            process.wait(90)


@long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a root folder and namespaces of its own")
@pytest.mark.skipif(bool(lacking("mmdebstrap", "unshare")), reason="mmdebstrap or unshare is not here")
def test_a_set_outlives_the_upgrade_and_purge_leaves_nothing(package: Path, tmp_path: Path) -> None:
    with foreign_root(tmp_path) as root:
        before = {str(path.relative_to(root.folder)) for path in (root / "etc").rglob("*")}

        # When it is installed, then there are a user, folders of its own, what shells look for, and nothing runs
        install(root, package)
        assert root.told("id", "-un", "fleetgen") == "fleetgen\n"
        assert (
            root.told("stat", "-c", "%U:%G %a", "/var/lib/fleetgen", "/var/log/fleetgen")
            == "fleetgen:fleetgen 750\n" * 2
        )
        assert CONFIG in root.told("dpkg-query", "-W", "-f", "${Conffiles}", "fleetgen")
        assert root.told("dpkg", "--verify", "fleetgen") == ""
        root.told("fleetgen", "config", "check", user="fleetgen")
        assert root.call("test", "-f", "/usr/share/fleetgen/generator.schema.json").returncode == 0
        assert root.call("fleetgen", "status").returncode != 0

        # And the configuration is edited, and the set started
        edited = (root / CONFIG).read_text().replace("seed = 42 ", "seed = 43 ").replace("PT10S", "PT2S")
        (root / CONFIG).write_text(edited)
        with running(root, tmp_path) as process:
            root.told("fleetgen", "status", user="fleetgen")

            # When it is upgraded meanwhile, then the set goes on, and the edits stay
            then = batches(root)
            install(root, next_version(package, tmp_path / "next"), "--force-confold")
            wait_for(lambda: batches(root) > then + 1, 90, "Batches after the upgrade")
            assert process.poll() is None
            assert (root / CONFIG).read_text() == edited
            assert "99.0" in root.told("fleetgen", "--version")
        assert process.returncode == 0

        # And the new version goes on with the same data
        then = batches(root)
        with running(root, tmp_path):
            assert batches(root) > then
        root.told("fleetgen", "verify", "--all", user="fleetgen")

        # When it is removed, then data and configuration stay
        then = batches(root)
        root.told("dpkg", "--remove", "fleetgen")
        assert (batches(root), (root / CONFIG).read_text()) == (then, edited)
        assert not (root / "usr/lib/fleetgen").exists()
        assert not (root / "usr/bin/fleetgen").exists()
        assert root.call("id", "fleetgen").returncode == 0

        # And when it is purged, nothing is left of it, nor of its user
        root.told("dpkg", "--purge", "fleetgen")
        left = {str(path.relative_to(root.folder)) for path in (root / "etc").rglob("*")} - before
        assert {name for name in left if not re.search(r"(passwd|group|shadow|gid|uid)-?$", name)} == set()
        for place in ("var/lib/fleetgen", "var/log/fleetgen", "usr/share/fleetgen", "usr/share/doc/fleetgen"):
            assert not (root / place).exists()
        for database in ("passwd", "group"):
            assert root.call("getent", database, "fleetgen").returncode == 2
