"""One manifest gives one sequence of bytes: in any process, at any chunk size, under any supported numpy."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleetgen.domain.encoding import CHUNK_ROWS
from support.domain_cases import emulated, production
from support.fingerprinting import fingerprint
from support.shipped_settings import shipped_settings

PROJECT = Path(__file__).parents[2]
PROGRAM = PROJECT / "tests" / "support" / "fingerprinting.py"
OLDEST_NUMPY = PROJECT / ".venv-numpy-oldest"

SETTINGS = shipped_settings() | {
    "mixed": emulated(seed=2**63 - 1, active_probability=0.5, companies_per_batch=100, events_per_batch=(300, 900)),
    "several blocks": production(drivers_per_company=120, active_probability=0.9, companies_per_batch=100),
    "bounded, in several blocks": emulated(drivers_per_company=1100, events_per_batch=(40_000, 40_100)),
    "blocks of one driver": production(companies_per_batch=2, drivers_per_company=2, event_rate_per_driver=20_000.0),
}


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What this process makes of all settings."""
    return {name: fingerprint(settings) for name, settings in SETTINGS.items()}


def fingerprints_elsewhere(python: Path, chunk_rows: int = CHUNK_ROWS, hash_seed: str = "0") -> Any:
    """Fingerprint all settings in a process of its own, which has numpy and the package's source."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "lib"), "PYTHONHASHSEED": hash_seed}
    settings = json.dumps({name: asdict(each) for name, each in SETTINGS.items()})
    command = [str(python), str(PROGRAM), str(chunk_rows)]
    done = subprocess.run(command, input=settings, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numpy_of(python: Path) -> str:
    command = [str(python), "-c", "import numpy; print(numpy.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("hash_seed", ["1", "4294967295", "random"])
def test_another_process_with_another_hash_seed_gives_the_same_bytes(expected: dict[str, Any], hash_seed: str) -> None:
    assert fingerprints_elsewhere(Path(sys.executable), hash_seed=hash_seed) == expected


@pytest.mark.parametrize("chunk_rows", [61, 4096, 10_000_000])
def test_another_chunk_size_gives_the_same_bytes(expected: dict[str, Any], chunk_rows: int) -> None:
    assert fingerprints_elsewhere(Path(sys.executable), chunk_rows) == expected


def test_the_oldest_supported_numpy_gives_the_same_bytes(expected: dict[str, Any]) -> None:
    python = OLDEST_NUMPY / "bin" / "python"
    assert python.exists(), (
        f"{OLDEST_NUMPY} with the oldest supported numpy is missing: run `make test`, which sets it up"
    )
    assert numpy_of(python) != np.__version__, (
        f"{OLDEST_NUMPY} has the numpy of this environment: remove it, `make test`"
    )

    assert fingerprints_elsewhere(python) == expected
