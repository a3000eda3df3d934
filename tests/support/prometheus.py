"""A real Prometheus and Alertmanager over a running set, started by the program that `make observe` calls."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from support.patience import wait_for
from support.sets import RunningSet, free_ports

ROOT = Path(__file__).parents[2]
FILES = ROOT / "etc" / "prometheus"

_COMMENTED = re.compile(r"^( *)# (webhook_configs:|  - url: .*)$", re.MULTILINE)
_SELECTOR = re.compile(r"(?<![\w:])((?:\w+:)?fleetgen_[a-z_]+(?::\w+)?|up)(?![\w(:])(\{[^}]*\})?")


class Webhook:
    """Receives what Alertmanager sends."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        received = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def has(self, name: str, status: str, **labels: str) -> bool:
        """Whether an alert of this name and status has come, with these labels."""
        return any(
            alert["status"] == status and {"alertname": name, **labels}.items() <= alert["labels"].items()
            for alert in self.alerts
        )


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs, and the webhook behind its Alertmanager."""

    url: str
    webhook: Webhook
    output: Path

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its HTTP API."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def values(self, expression: str) -> list[float]:
        """Return the values of an instant query that are numbers."""
        found = (float(each["value"][1]) for each in self.get("query", query=expression)["result"])
        return [value for value in found if not isnan(value)]

    def targets(self) -> dict[str, str]:
        """Return the health of each scraped process by its name."""
        return {
            each["labels"]["process"]: each["health"] for each in self.get("targets", state="active")["activeTargets"]
        }


@contextmanager
def prometheus_over(running: RunningSet) -> Iterator[Prometheus]:
    """A Prometheus over a set, on the files that are shipped; only a webhook is put where they have it as a comment."""
    webhook = Webhook()
    files = running.folder / "prometheus"
    shutil.copytree(FILES, files)
    receivers = files / "alertmanager.yml"
    changed, count = _COMMENTED.subn(r"\1\2", receivers.read_text())
    assert count == 2
    receivers.write_text(changed.replace("http://127.0.0.1:5001/", webhook.url))
    port, alert_port = free_ports(2)
    command = [sys.executable, str(ROOT / "packaging" / "observe"), "--config", str(running.config)]
    command += ["--files", str(files), "--port", str(port), "--alert-port", str(alert_port)]
    output = running.folder / "observe.output"
    with output.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
    try:
        wait_for(
            lambda: "Prometheus scrapes the set" in output.read_text() or process.poll() is not None, 60, "The start"
        )
        assert process.poll() is None, output.read_text()
        yield Prometheus(f"http://127.0.0.1:{port}", webhook, output)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        webhook.close()


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules that are shipped: of kind ``record`` or ``alert``."""
    found = []
    for path in sorted((FILES / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            found += [rule for rule in group["rules"] if kind in rule]
    return found


def selectors(expression: str) -> set[str]:
    """Return what an expression selects: a metric or a recorded rule, with its matchers."""
    return {name + matchers for name, matchers in _SELECTOR.findall(expression)}
