"""A configuration that is mounted as Kubernetes does it: the file leads through a link that is swapped."""

from pathlib import Path

import pytest
import yaml

from fleetgen.config.loading import load
from fleetgen.config.watching import ConfigWatch
from support.configs import REPOSITORY, SHIPPED, parsed

MANIFEST = REPOSITORY / "packaging" / "kubernetes" / "fleetgen.yaml"


def swap(folder: Path, version: str, text: str) -> None:
    """Do what the kubelet does: a new folder, and one rename of the link that leads to it."""
    (folder / version).mkdir()
    (folder / version / "generator.toml").write_text(text)
    (folder / "..new").symlink_to(version)
    (folder / "..new").rename(folder / "..data")


def test_a_swapped_link_is_an_edit_like_any_other(tmp_path: Path) -> None:
    swap(tmp_path, "..one", SHIPPED.read_text())
    (tmp_path / "generator.toml").symlink_to("..data/generator.toml")
    watch = ConfigWatch(tmp_path / "generator.toml", load(tmp_path / "generator.toml"))
    assert watch.look(0) is None
    swap(tmp_path, "..two", SHIPPED.read_text().replace('mode = "emulated"', 'mode = "production"', 1))
    edit = watch.look(1)
    assert edit is not None
    assert edit.loaded is not None
    assert edit.loaded.config.mode == "production"
    assert watch.look(2) is None


@pytest.mark.parametrize("kind", ["ConfigMap"])
def test_the_manifest_has_a_valid_configuration_and_time_to_stop(kind: str) -> None:
    found = {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}
    config = parsed(found[kind]["data"]["generator.toml"])
    grace = found["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > 4 * config.supervisor.stop_wait_seconds
