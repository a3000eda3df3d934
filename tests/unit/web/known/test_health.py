"""Why a set is degraded: each reason appears when its fact is there, and names what to do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND, Stream
from fleetgen.generation import lifecycle
from fleetgen.storage.manifest import Head, Totals
from fleetgen.supervision.client import ProcessState
from fleetgen.web.known import facts
from fleetgen.web.known.following import LOST_SHOWN, Follower
from fleetgen.web.known.health import health
from fleetgen.web.known.reasons import LATE, REBUILT_SHOWN
from fleetgen.web.known.streams import Hub
from fleetgen.web.known.supervised import Supervised
from support.configs import ETC

NOW = 1_767_225_600 * SECOND


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    """The follower of an empty dataset with the shipped settings."""
    config = tmp_path / "etc" / "generator.toml"
    config.parent.mkdir()
    config.write_text((ETC / "generator.toml").read_text())
    return Follower(load(config), None, Hub("a"))


def known(follower: Follower, **changes: Any) -> Follower:
    """Write a manifest with these changes, and have it seen."""
    with follower.dataset.store.locked() as transaction:
        transaction.save(transaction.manifest.updated(**changes))
    follower.look()
    return follower


def seen(follower: Follower, supervised: Supervised | None = None, now: int = NOW) -> facts.Health:
    return health(follower, supervised or Supervised(), started_at=NOW - 90 * SECOND, stopping=False, now=now)


def codes(told: facts.Health) -> list[str]:
    return [reason.code for reason in told.reasons]


def process(name: str, state: str = "RUNNING") -> ProcessState:
    return ProcessState(name, state, pid=7 if state == "RUNNING" else 0, uptime_seconds=3, exit_status=0, since=1)


def test_without_a_reason_a_set_is_running_or_paused(follower: Follower) -> None:
    assert (seen(follower).status, codes(seen(follower))) == ("running", [])
    lifecycle.pause(follower.dataset, NOW, "why")
    follower.look()
    assert (seen(follower).status, seen(follower).lifecycle.pause_reason) == ("paused", "why")


def test_a_reason_outweighs_a_pause(follower: Follower) -> None:
    lifecycle.pause(follower.dataset, NOW, None)
    follower.look()
    told = seen(follower, Supervised(processes=(process("driver", "FATAL"),)))
    assert (told.status, told.lifecycle.paused) == ("degraded", True)


@pytest.mark.parametrize(
    ("supervised", "code", "told"),
    [
        (Supervised(processes=(process("driver", "FATAL"),)), "process_down", "supervisorctl start driver"),
        (Supervised(processes=(process("driver", "EXITED"),)), "process_down", "driver is EXITED"),
        (Supervised(processes=(process("driver"),), hung=("driver",)), "process_hung", "heartbeat"),
        (Supervised(processes=(process("driver"),), looping={"driver": 3}), "crash_loop", "3 times"),
        (
            Supervised(deaths={"driver": {"recent": 3, "last": "killed by signal 9 (SIGKILL), for memory is short"}}),
            "process_deaths",
            "driver died 3 times within 5 minutes, the last time killed by signal 9",
        ),
        (Supervised(fault="supervisord does not answer."), "supervisor_unreachable", "does not answer"),
    ],
)
def test_what_is_wrong_with_a_process_is_told(follower: Follower, supervised: Supervised, code: str, told: str) -> None:
    answer = seen(follower, supervised)
    assert (answer.status, codes(answer)) == ("degraded", [code])
    assert told in answer.reasons[0].detail


@pytest.mark.parametrize("state", ["RUNNING", "STARTING"])
def test_a_process_that_runs_or_starts_is_no_reason(follower: Follower, state: str) -> None:
    assert seen(follower, Supervised(processes=(process("driver", state),))).status == "running"


def test_restarts_and_pids_are_told(follower: Follower) -> None:
    looked = Supervised(processes=(process("driver"), process("company", "STOPPED")), restarts={"driver": 4})
    told = {each.name: each for each in seen(follower, looked).processes}
    assert (told["driver"].restarts, told["driver"].pid) == (4, 7)
    assert (told["company"].restarts, told["company"].pid) == (0, None)


def test_a_clock_behind_the_data_is_told(follower: Follower) -> None:
    known(follower, heads={stream: Head(stands_at=NOW) for stream in Stream})
    assert codes(seen(follower, now=NOW - SECOND)) == []
    assert codes(seen(follower, now=NOW - 60 * SECOND)) == ["clock_behind"]
    assert "60 s behind" in seen(follower, now=NOW - 60 * SECOND).reasons[0].detail


def test_a_rebuilt_manifest_is_told_for_an_hour(follower: Follower) -> None:
    known(follower, rebuilt_at=NOW)
    assert codes(seen(follower, now=NOW + REBUILT_SHOWN - 1)) == ["manifest_rebuilt"]
    assert codes(seen(follower, now=NOW + REBUILT_SHOWN)) == []


def test_a_damaged_manifest_is_told_and_what_was_known_before_stays(follower: Follower) -> None:
    known(follower, heads={stream: Head(stands_at=NOW, next_batch=1) for stream in Stream})
    before = seen(follower)
    follower.dataset.store.path.write_text("{")
    follower.look()
    told = seen(follower)
    assert codes(told) == ["manifest_unreadable"]
    assert told.driver_generator == before.driver_generator
    assert told.dataset_id == before.dataset_id


def test_intervals_that_a_running_process_could_not_make_are_told_for_a_while(follower: Follower) -> None:
    def missed(**counts: int) -> dict[Stream, Head]:
        return {stream: Head(totals=Totals(missed=counts)) for stream in Stream}

    known(follower, heads=missed(disk=3))
    assert codes(seen(follower, now=system_now())) == []  # from before anybody looked
    known(follower, heads=missed(disk=3, paused=7, downtime=9))
    assert codes(seen(follower, now=system_now())) == []
    known(follower, heads=missed(disk=4, paused=7, downtime=9, fault=1))
    told = seen(follower, now=system_now())
    assert codes(told) == ["intervals_lost"] * 2
    assert told.reasons[1].detail == (
        "2 intervals of events could not be made and are left out; the log of driver says why."
    )
    assert codes(seen(follower, now=system_now() + LOST_SHOWN)) == []


def test_an_invalid_configuration_is_told(follower: Follower) -> None:
    follower.config_fault = "mode is 5"
    told = seen(follower)
    assert codes(told) == ["config_invalid"]
    assert (told.config.valid, told.config.error) == (False, "mode is 5")


def test_a_fresh_dataset_is_never_late(follower: Follower) -> None:
    known(follower)
    assert codes(seen(follower, now=NOW + 100 * LATE)) == []


def test_emulated_config_is_there_in_emulated_mode_alone(follower: Follower) -> None:
    assert isinstance(seen(follower), facts.EmulatedHealth)
    config = follower.loaded.config.model_copy(update={"mode": "production"})
    follower.loaded = replace(follower.loaded, config=config)
    assert type(seen(follower)) is facts.Health


def test_uptime_is_counted_from_the_start_and_never_negative(follower: Follower) -> None:
    assert seen(follower).uptime.seconds == 90
    assert seen(follower).uptime.hours == 0.025
    assert seen(follower, now=NOW - 900 * SECOND).uptime.seconds == 0
