"""The image's stages, built in folders, and the compose file's services, run there: `make test-image`.

A minimal Debian stands for the base image, namespaces for an engine: tests/support/images.py and containers.py say what differs.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.configs import REPOSITORY
from support.containers import Container, services
from support.images import Folders
from support.patience import wait_for

DOCKER = REPOSITORY / "packaging" / "docker"
NEEDED = ("mmdebstrap", "unshare", "nsenter", "setpriv", "prometheus", "curl", "jq")
EARLIER = REPOSITORY / "docs" / "howto" / "come-from-the-earlier-system.md"
PLACE = "FLEETGEN_IMAGE_PLACE"
"""A folder to keep the built stages in; without it they are built anew and removed."""


def _lacks() -> str:
    if not os.environ.get("FLEETGEN_IMAGE"):
        return "takes minutes; `make test-image` runs it"
    if os.geteuid() != 0:
        return "needs root, for namespaces and chroot"
    missing = [each for each in NEEDED if shutil.which(each) is None]
    return f"needs {', '.join(missing)}" if missing else ""


pytestmark = pytest.mark.skipif(bool(_lacks()), reason=_lacks() or "-")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fg-image-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def folders(place: Path) -> Folders:
    built = Path(os.environ.get(PLACE) or place / "stages")
    built.mkdir(exist_ok=True)
    return Folders(DOCKER / "Dockerfile", REPOSITORY, built)


@pytest.fixture(scope="module")
def volumes(place: Path) -> dict[str, Path]:
    """What the services mount: an empty volume that belongs to the image's user, and the configuration."""
    data = place / "data"
    data.mkdir()
    os.chown(data, 10001, 10001)
    shutil.copytree(DOCKER / "etc", place / "etc")
    return {"data": data, "./etc": place / "etc"}


def made(name: str, folders: Folders, volumes: dict[str, Path], place: Path) -> Container:
    service = services(DOCKER / "compose.yaml")[name]
    target = service["build"]["target"]
    return Container(name, service, folders.stages[target], folders.of(target), volumes, place)


@pytest.fixture(scope="module")
def generator(folders: Folders, volumes: dict[str, Path], place: Path) -> Iterator[Container]:
    """The set of the compose file, healthy."""
    container = made("generator", folders, volumes, place)
    try:
        container.start()
        wait_for(container.is_healthy, 60, f"Health, after {container.output.read_text()[-2000:]!r},")
        yield container
    finally:
        container.end()


def lines_of(container: Container) -> list[dict[str, Any]]:
    return [json.loads(line) for line in container.output.read_text().splitlines() if line.startswith("{")]


def asked(container: Container, line: str) -> str:
    """Return what a line prints that is typed on the host, which reaches the published port."""
    done = container.run("sh", "-c", line, network_only=True)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout.strip()


def test_supervisord_is_the_first_process_and_belongs_to_the_images_user(generator: Container) -> None:
    assert generator.run("cat", "/proc/1/comm").stdout.strip() != "sh"
    command = generator.run("cat", "/proc/1/cmdline").stdout.replace("\0", " ")
    assert "fleetgen" in command or "supervisord" in command
    status = generator.run("cat", "/proc/1/status").stdout
    assert re.search(r"^Uid:\t10001\t10001\t10001\t10001$", status, re.M)
    assert re.search(r"^CapBnd:\t0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)


def test_the_root_is_read_only_and_tmp_runs_nothing(generator: Container) -> None:
    refused = generator.run("touch", "/usr/lib/fleetgen/x")
    assert "Read-only file system" in refused.stderr
    assert generator.run("touch", "/etc/fleetgen/x").returncode != 0
    assert generator.run("sh", "-c", "cp /bin/true /tmp/true && /tmp/true").returncode == 126


def test_each_batch_is_a_line_of_json_on_the_output(generator: Container) -> None:
    def batches() -> bool:
        said = [each for each in lines_of(generator) if each.get("kind") == "batch_published"]
        return {each["stream"] for each in said} == {"companies", "events"} and len(said) >= 4

    wait_for(batches, 60, "Two batches of each stream")
    text = generator.output.read_text()
    assert all(line.startswith("{") for line in text.splitlines() if line.strip()), text[:2000]


def test_documented_lines_work_on_the_published_port(generator: Container) -> None:
    lines = re.findall(r"^curl .*$", EARLIER.read_text(), re.M)
    assert len(lines) == 5
    said = [asked(generator, line) for line in lines]
    assert json.loads(said[0])["mode"] == "emulated"
    assert said[1].count('"message"') == 5
    assert said[2] == '"paused"'
    assert int(said[3]) > 0
    assert json.loads(said[4]) == ["companies:10", "driver_batch:1"]


def test_documented_paths_lie_in_the_volume(generator: Container, volumes: dict[str, Path]) -> None:
    data = volumes["data"]
    wait_for((data / "raw" / "companies.jsonl").exists, 30, "The file of all companies")
    assert list((data / "raw" / "events").glob("*/batch_meta.json"))
    for name in ("generator_state.json", "dataset.md", "logs/driver.jsonl"):
        assert (data / "manifests" / name).exists()
    assert generator.run("fleetgen", "status").returncode == 0


def test_other_containers_reach_it_by_the_services_name(generator: Container) -> None:
    ask = "from urllib.request import urlopen; print(urlopen('http://generator:18000/api/targets').read().decode())"
    targets = {
        each["labels"]["process"]: each["targets"] for each in json.loads(generator.run("python3", "-c", ask).stdout)
    }
    assert targets == {
        "company": ["generator:9101"],
        "driver": ["generator:9102"],
        "pipeline": ["generator:9103"],
        "control": ["generator:18000"],
    }


def test_prometheus_of_the_compose_file_scrapes_every_process(generator: Container, place: Path) -> None:
    folder = place / "prometheus"
    shutil.copytree(REPOSITORY / "etc" / "prometheus" / "rules", folder / "rules")
    shutil.copy(DOCKER / "prometheus.yml", folder)
    command = f"mount --bind {place / 'hosts'} /etc/hosts; exec prometheus --config.file={folder / 'prometheus.yml'}"
    command += f" --storage.tsdb.path={folder / 'tsdb'} --web.listen-address=127.0.0.1:9090"
    joined = ["nsenter", f"--target={generator.pid}", "--net", "unshare", "--mount", "sh", "-c", command]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(joined, stdout=output, stderr=subprocess.STDOUT)
    try:
        query = "curl -s http://127.0.0.1:9090/api/v1/query --data-urlencode 'query=up == 1' | jq -r '.data.result[].metric.process'"
        expected = {"company", "driver", "pipeline", "control"}
        wait_for(
            lambda: set(generator.run("sh", "-c", query, network_only=True).stdout.split()) == expected,
            60,
            "Targets that are up",
        )
    finally:
        process.terminate()
        process.wait(30)


def test_an_edit_of_the_mounted_file_is_noticed(generator: Container, volumes: dict[str, Path]) -> None:
    file = volumes["./etc"] / "generator.toml"
    file.write_text(file.read_text().replace('mode = "emulated"', 'mode = "production"', 1))
    mode = "curl -s http://localhost:18000/api/health | jq -r .generation_mode"
    wait_for(lambda: asked(generator, mode) == "production", 20, "The other mode")
    file.write_text(file.read_text().replace('mode = "production"', 'mode = "emulated"', 1))
    wait_for(lambda: asked(generator, mode) == "emulated", 20, "The mode as it was")


def test_the_spark_services_make_a_cluster_that_makes_history(
    generator: Container, folders: Folders, volumes: dict[str, Path], place: Path
) -> None:
    driver, executor = (made(name, folders, volumes, place) for name in ("spark-driver", "spark-executor"))
    try:
        driver.start(beside=generator)
        ready = "curl -s http://127.0.0.1:8080/json/ | jq '[.workers[] | select(.state == \"ALIVE\")] | length'"
        wait_for(lambda: driver.run("sh", "-c", ready, network_only=True).stdout.strip() == "0", 60, "The master")
        executor.start(beside=generator)
        wait_for(lambda: driver.run("sh", "-c", ready, network_only=True).stdout.strip() == "1", 60, "The worker")
        history = "fleetgen init /data/history --preset small && fleetgen backfill --batches 4 --engine spark"
        history += " --config /data/history/etc/generator.toml --master spark://spark-driver:7077"
        done = driver.run("sh", "-c", history)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        assert len(list((volumes["data"] / "history" / "data" / "raw" / "events").iterdir())) == 4
        for each in (driver, executor):
            each.stop()
            assert each.process is not None
            each.process.wait(30)
    finally:
        executor.end()
        driver.end()


def test_sigterm_ends_it_within_the_grace_period_and_the_next_one_goes_on(generator: Container) -> None:
    assert generator.process is not None
    grace = int(generator.service["stop_grace_period"].removesuffix("s"))
    generator.stop()
    assert generator.process.wait(grace) == 0
    before = [each["batch_number"] for each in lines_of(generator) if each.get("kind") == "batch_published"]
    generator.start()
    wait_for(generator.is_healthy, 60, "Health after the start")
    wait_for(
        lambda: [e for e in lines_of(generator) if e.get("kind") == "batch_published"], 60, "A batch after the start"
    )
    after = [each["batch_number"] for each in lines_of(generator) if each.get("kind") == "batch_published"]
    assert before
    assert min(after) > 0
