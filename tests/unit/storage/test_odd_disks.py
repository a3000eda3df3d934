"""Disks that lack an operation: folders that cannot be renamed or synced, and what is said about faults. Mounts are real."""

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.storage.files import cannot_create, is_disk_fault, move_or_remove, remedy_of, remove_tree
from support.disks import lacking, mounted

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems, which only root may")


@pytest.fixture
def baked(tmp_path: Path) -> Iterator[Path]:
    """A folder from a lower layer of overlayfs, as in a container's image, that cannot be renamed."""
    for name in ("lower/raw/events", "upper", "work", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower/raw/events/events.jsonl").write_text("{}\n")
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work,redirect_dir=off"
    mounted("-t", "overlay", "overlay", "-o", layers, tmp_path / "data")
    yield tmp_path / "data" / "raw"
    subprocess.run(["umount", tmp_path / "data"], check=True)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a mount of its own, with something in it."""
    folder = tmp_path / "raw"
    folder.mkdir()
    mounted("-t", "tmpfs", "tmpfs", folder)
    (folder / "events").mkdir()
    (folder / "events" / "events.jsonl").write_text("{}\n")
    yield folder
    subprocess.run(["umount", folder], check=True)


@as_root
def test_a_folder_of_an_image_layer_goes_although_it_cannot_be_renamed(baked: Path) -> None:
    with pytest.raises(OSError, match="cross-device"):
        baked.rename(baked.with_name("elsewhere"))
    assert move_or_remove(baked, baked.with_name("trash"))
    assert not baked.exists()


@as_root
def test_a_mount_of_its_own_is_emptied(mount: Path) -> None:
    assert move_or_remove(mount, mount.with_name("trash"))
    assert mount.is_mount()
    assert not any(mount.iterdir())
    assert remove_tree(mount)


def test_a_file_and_a_link_to_a_folder_are_removed_and_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert remove_tree(tmp_path / "link")
    assert remove_tree(tmp_path / "never there")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").read_text() == "kept"


def test_a_disk_that_syncs_no_folders_is_done_with(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import os, errno
        from pathlib import Path
        from fleetgen.storage.files import make_folder, replace_file
        folder = Path({str(tmp_path)!r}) / "data"
        make_folder(folder)
        replace_file(folder / "manifest", b"whole")
        try:
            os.fsync(os.open(folder, os.O_RDONLY))
        except OSError as fault:
            assert fault.errno == errno.EINVAL
        else:
            raise AssertionError("the fault was not injected")
    """)
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | lacking("fsync of folders", tmp_path))
    assert (tmp_path / "data" / "manifest").read_bytes() == b"whole"


def test_room_is_asked_for_only_where_it_helps() -> None:
    for number in errno.errorcode:
        fault = OSError(number, os.strerror(number))
        assert ("room" in remedy_of(fault)) == (number in (errno.ENOSPC, errno.EDQUOT))
        assert ("room" in str(cannot_create(Path("x"), fault))) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_faults_that_no_room_and_no_access_cures_are_no_disk_faults() -> None:
    assert is_disk_fault(OSError(errno.ENOSPC, "no room"))
    assert is_disk_fault(OSError(errno.EROFS, "read-only"))
    assert not is_disk_fault(OSError(errno.EBUSY, "busy"))
    assert not is_disk_fault(OSError(errno.EMFILE, "too many"))
