"""Measures how long commands take that somebody waits for: from the start of the process to its end.

The peers are Python by itself and Python with what a command cannot do without. All take turns, so that a busy moment
of the machine hits each of them.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from report import print_goal, print_head, print_table, seconds_of

import fleetgen

PRESET = Path(fleetgen.__file__).parents[2] / "etc" / "presets" / "emulated.toml"
"""Of the code that is measured, which may be an earlier one."""

GOAL_MS = 150
GOALS = ("fleetgen --help", "fleetgen status", "fleetgen query --help", "fleetgen query 'SELECT 1'")


def commands(config: Path) -> dict[str, list[str]]:
    """Return what is measured, by name."""
    command, named = ["-m", "fleetgen"], ["--config", str(config)]
    return {
        "python -c pass": ["-c", "pass"],
        "import click": ["-c", "import click"],
        "import pydantic.types": ["-c", "import pydantic.types"],
        "import pydantic.types, duckdb": ["-c", "import pydantic.types, duckdb"],
        "fleetgen --help": [*command, "--help"],
        "fleetgen query --help": [*command, "query", "--help"],
        "fleetgen mode": [*command, "mode", *named],
        "fleetgen status": [*command, "status", *named],
        "fleetgen query 'SELECT 1'": [*command, "query", "SELECT 1", *named],
    }


def main() -> None:
    """Measure all in turns."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=15, help="starts of each")
    arguments.add_argument("--quick", action="store_true", help="5 starts of each")
    options = arguments.parse_args()
    turns = 5 if options.quick else options.turns
    with TemporaryDirectory(prefix="fleetgen-start-") as name:
        config = Path(name) / "generator.toml"
        config.write_text(PRESET.read_text())
        measured: dict[str, list[float]] = {way: [] for way in commands(config)}
        for _ in range(turns + 1):
            for way, command in commands(config).items():
                measured[way].append(seconds_of(lambda command=command: started(command)))  # type: ignore[misc]
    medians = {way: statistics.median(seconds[1:]) * 1000 for way, seconds in measured.items()}  # the first is cold
    print_head(f"Starting: medians of {turns}")
    bare = medians["python -c pass"]
    rows = [
        [way, f"{value:.0f}", f"{min(measured[way]) * 1000:.0f}", f"{value / bare:.1f}"]
        for way, value in medians.items()
    ]
    print_table(["way", "ms", "least ms", "times python"], rows)
    for way in GOALS:
        print_goal(f"{way} within {GOAL_MS} ms", medians[way] <= GOAL_MS)


def started(command: list[str]) -> None:
    """Run Python to its end."""
    subprocess.run([sys.executable, *command], capture_output=True, check=False)


if __name__ == "__main__":
    main()
