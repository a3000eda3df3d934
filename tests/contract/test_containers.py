"""The compose file, the Dockerfile and the manifest for Kubernetes agree with the configuration and with the earlier system.

No engine runs here: what an engine would do with the image is in ``tests/acceptance/test_image.py``.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetgen.config.loading import load
from support.configs import REPOSITORY, SHIPPED
from support.containers import services
from support.images import stages

DOCKER = REPOSITORY / "packaging" / "docker"
MANIFEST = REPOSITORY / "packaging" / "kubernetes" / "fleetgen.yaml"
COMPOSE = DOCKER / "compose.yaml"
CONFIGURATION = DOCKER / "etc" / "generator.toml"
EARLIER_PORTS = {
    "generator": {"18000": 18000},
    "spark-driver": {"17080": 8080, "17077": 7077, "14040": 4040},
    "spark-executor": {},
    "grafana": {"3000": 3000},
}


def tool(name: str) -> str:
    """Return where a tool is, in the environment or on the PATH; skip where it is nowhere."""
    own = [folder / name for folder in (Path(sys.executable).parent, REPOSITORY / ".venv-image" / "bin")]
    found = next((str(file) for file in own if file.exists()), shutil.which(name))
    return found or pytest.skip(f"needs {name}: `make test-image` gets it")


def published(service: dict[str, Any]) -> dict[str, int]:
    """Return the ports of the host, each with that of the container; all must be on loopback."""
    found = [str(each).split(":") for each in service.get("ports", [])]
    assert all(address == "127.0.0.1" for address, _, _ in found)
    return {outside: int(inside) for _, outside, inside in found}


@pytest.mark.parametrize("name", list(EARLIER_PORTS))
def test_services_have_the_earlier_systems_names_and_ports(name: str) -> None:
    assert published(services(COMPOSE)[name]) == EARLIER_PORTS[name]


@pytest.mark.parametrize("name", ["generator", "spark-driver", "spark-executor"])
def test_services_of_ours_share_the_data_and_may_do_little(name: str) -> None:
    service = services(COMPOSE)[name]
    assert "data:/data" in service["volumes"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    stage = stages(DOCKER / "Dockerfile")[service["build"]["target"]]
    assert service["user"] == stage.last("USER").rest == "10001:10001"
    written = {place.partition(":")[0] for place in service["tmpfs"]} | {"/data"}
    assert written == set(stage.last("VOLUME").words)


def test_the_image_and_the_compose_file_say_what_the_configuration_says() -> None:
    config = load(CONFIGURATION).config
    stage, service = stages(DOCKER / "Dockerfile")["set"], services(COMPOSE)["generator"]
    metrics = config.metrics
    ports = [config.control.port, metrics.company_port, metrics.driver_port, metrics.pipeline_port]
    assert stage.last("EXPOSE").words == list(map(str, ports))
    assert list(published(service).values()) == [config.control.port]
    assert f":{config.control.port}/api/health" in stage.last("HEALTHCHECK").rest
    assert stage.last("CMD").words == service["command"] == ["up", "--log", "json"]
    assert int(service["stop_grace_period"].removesuffix("s")) > 4 * config.supervisor.stop_wait_seconds
    assert (config.paths.data, config.paths.run) == ("/data", "/run/fleetgen/set")


def test_the_configuration_of_the_containers_is_the_shipped_one_but_for_its_places() -> None:
    shipped, ours = tomllib.loads(SHIPPED.read_text()), tomllib.loads(CONFIGURATION.read_text())
    shipped["paths"] = {"data": "/data", "run": "/run/fleetgen/set"}
    shipped["metrics"]["address"] = shipped["control"]["address"] = "0.0.0.0"
    shipped["control"]["trust_network"] = True
    assert ours == shipped


def test_what_is_mounted_is_there() -> None:
    for service in services(COMPOSE).values():
        for source, place, *mode in (each.split(":") for each in service["volumes"]):
            if source.startswith("."):
                assert (DOCKER / source).exists()
                assert mode == ["ro"], place


def test_prometheus_of_the_compose_file_is_the_shipped_one_by_the_services_name(tmp_path: Path) -> None:
    shipped = yaml.safe_load((REPOSITORY / "etc" / "prometheus" / "prometheus.yml").read_text())
    ours = yaml.safe_load((DOCKER / "prometheus.yml").read_text())
    del shipped["alerting"]
    (discovered,) = shipped["scrape_configs"][0]["http_sd_configs"]
    discovered["url"] = discovered["url"].replace("127.0.0.1", "generator")
    assert ours == shipped

    shutil.copytree(REPOSITORY / "etc" / "prometheus" / "rules", tmp_path / "rules")
    shutil.copy(DOCKER / "prometheus.yml", tmp_path)
    checked = subprocess.run(
        [tool("promtool"), "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert "rules found" in checked.stdout


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    provisioning = REPOSITORY / "etc" / "grafana" / "provisioning"
    shipped = yaml.safe_load((provisioning / "datasources" / "fleetgen.yml").read_text())
    ours = yaml.safe_load((DOCKER / "grafana" / "datasource.yml").read_text())
    shipped["datasources"][0]["url"] = "http://prometheus:9090"
    assert ours == shipped
    assert published(services(COMPOSE)["prometheus"]) == {"9090": 9090}
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "fleetgen.yml").read_text())["providers"]
    mounted = [each.split(":")[:2] for each in services(COMPOSE)["grafana"]["volumes"]]
    assert ["../../etc/grafana/dashboards", provider["options"]["path"]] in mounted


def test_compose_takes_the_file() -> None:
    own = (
        shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    )
    compose = ["docker", "compose"] if own else [tool("docker-compose")]
    done = subprocess.run([*compose, "-f", str(COMPOSE), "config"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert set(resolved) == {*EARLIER_PORTS, "prometheus"}
    assert "level=warning" not in done.stderr


def test_the_project_is_not_named_after_its_folder() -> None:
    assert "COMPOSE_PROJECT_NAME=fleetgen\n" in (DOCKER / ".env").read_text()


def test_the_linter_has_nothing_to_say_about_the_dockerfile() -> None:
    linted = subprocess.run([tool("hadolint"), str(DOCKER / "Dockerfile")], capture_output=True, text=True, timeout=120)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_what_the_dockerfile_copies_gets_into_the_build_and_no_token_does() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [
        word
        for stage in stages(DOCKER / "Dockerfile").values()
        for step in stage.steps
        if step.word == "COPY" and not step.rest.startswith("--from")
        for word in step.words[:-1]
    ]
    taken = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[1] == "*"
    assert all((REPOSITORY / name).exists() for name in copied)
    assert all(any(name == each or name.startswith(f"{each}/") for each in taken) for name in copied)
    assert "etc/*.token" in ignored[ignored.index("!etc") :]


def test_the_manifest_keeps_to_kubernetes_schema() -> None:
    checked = subprocess.run(
        [tool("kubernetes-validate"), "--strict", str(MANIFEST)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(re.findall(r"passed for resource", checked.stdout + checked.stderr)) == 3


def test_the_manifest_mounts_what_the_image_needs() -> None:
    (deployment,) = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    stage = stages(DOCKER / "Dockerfile")["set"]
    mounted = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert set(mounted) == {*stage.last("VOLUME").words, "/etc/fleetgen"}
    assert "subPath" not in mounted["/etc/fleetgen"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == yaml.safe_load(
            stage.last("HEALTHCHECK").rest.partition("CMD ")[2]
        )
