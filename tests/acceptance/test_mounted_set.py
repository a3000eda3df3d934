"""A set whose configuration is mounted as Kubernetes does it: its processes notice a link that is swapped, and write nothing there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.patience import wait_for
from support.sets import RunningSet


def swap(folder: Path, version: str, text: str) -> None:
    """Do what the kubelet does: a new folder, one rename of the link that leads to it, and the old folder goes."""
    old = folder / (folder / "..data").readlink() if (folder / "..data").is_symlink() else None
    (folder / version).mkdir()
    (folder / version / "generator.toml").write_text(text)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").rename(folder / "..data")
    if old is not None:
        (old / "generator.toml").unlink()
        old.rmdir()


@pytest.fixture(scope="module")
def mounted() -> Iterator[RunningSet]:
    """A set that runs with such a folder."""
    with RunningSet(control=True) as each:
        text = each.config.read_text()
        each.config.unlink()
        swap(each.config.parent, "..2026_11_29_one", text)
        each.config.symlink_to("..data/generator.toml")
        each.start()
        yield each


def test_every_process_follows_a_swapped_link(mounted: RunningSet) -> None:
    text = mounted.config.read_text()
    swap(mounted.config.parent, "..2026_11_29_two", text.replace('mode = "emulated"', 'mode = "production"', 1))
    for process in mounted.ports:
        wait_for(
            lambda process=process: 'fleetgen_mode_active{mode="production"} 1.0' in mounted.metrics(process),  # type: ignore[misc]
            10,
            f"The other mode of {process}",
        )


def test_a_faulty_version_changes_nothing_and_the_next_one_counts(mounted: RunningSet) -> None:
    text = mounted.config.read_text()
    swap(mounted.config.parent, "..2026_11_29_three", text.replace("seed = 42", "seed = true", 1))
    refused = "fleetgen_config_last_reload_successful 0.0"
    wait_for(lambda: all(refused in mounted.metrics(each) for each in mounted.ports), 10, "The refusal")
    swap(mounted.config.parent, "..2026_11_29_four", text.replace("seed = 42", "seed = 43", 1))
    taken = "fleetgen_config_last_reload_successful 1.0"
    wait_for(lambda: all(taken in mounted.metrics(each) for each in mounted.ports), 10, "The next version")
    segments = mounted.data / "manifests" / "segments"
    wait_for(lambda: "seed = 43\n" in max(segments.iterdir()).read_text(), 20, "A segment with the other seed")


def test_sigterm_ends_it_within_the_grace_period_of_the_manifest(mounted: RunningSet) -> None:
    assert mounted.stop(15) == 0
