"""Owns how the set is, for `fleetgen status`: what the control process knows, or what can be seen without it.

The control process has followed the set for a while, so it knows more; it may be disabled, or be what has stopped.
"""

from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.request import ProxyHandler, build_opener

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import FleetgenError
from fleetgen.storage.reading import parse_json
from fleetgen.supervision.programs import recorded_programs

_TIMEOUT_SECONDS = 2

MEANING = {
    "company": "no companies are published meanwhile",
    "driver": "no events are published meanwhile",
    "pipeline": "nothing is carried into the tables meanwhile",
    "control": "the page and the API do not answer meanwhile",
}
"""What it means that a process is stopped."""


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """The status that `/api/health` has, or ``stopped``, and its reasons, each a ``code`` and a ``detail`` with a remedy."""

    status: str
    reasons: list[dict[str, str]]


def wellbeing(loaded: LoadedConfig, fault: str | None) -> Wellbeing:
    """Return how a running set is; ``fault`` is what is wrong with the configuration file as it is now."""
    with suppress(OSError, HTTPException, ValueError, LookupError, TypeError, FleetgenError):
        told = _asked(loaded)
        return Wellbeing(str(told["status"]), [dict(each) for each in told["reasons"]])
    return _seen(loaded, fault)


def _asked(loaded: LoadedConfig) -> Any:
    """Return what the API tells; raises LookupError without one. No proxy is asked for this machine's own."""
    url = next((each.url for each in recorded_programs(loaded) if each.name == "control"), None)
    if url is None:
        raise LookupError
    with build_opener(ProxyHandler({})).open(f"{url}/api/health", timeout=_TIMEOUT_SECONDS) as answer:
        told = parse_json(answer.read(), url)
    if told["state"]["state_file"] and _is_of(loaded, told):
        return told
    raise LookupError


def _is_of(loaded: LoadedConfig, told: Any) -> bool:
    """Whether an answer is about this set: another one may have taken its port since."""
    from fleetgen.generation.dataset import Dataset

    manifest = Dataset(loaded.layout).read()
    return bool(told["dataset_id"] == (manifest.dataset_id if manifest else None))


def _seen(loaded: LoadedConfig, fault: str | None) -> Wellbeing:
    """Return what one look tells, as the control process would say it."""
    from fleetgen.web.known.following import Follower
    from fleetgen.web.known.health import health
    from fleetgen.web.known.streams import Hub
    from fleetgen.web.known.supervised import SupervisedWatch

    follower = Follower(loaded, fault, Hub("status"))
    follower.look()
    told = health(follower, SupervisedWatch(loaded, supervised=True).look(), system_now(), False, system_now())
    return Wellbeing(told.status, [{"code": each.code, "detail": each.detail} for each in told.reasons])
