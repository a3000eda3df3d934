"""Runs benchmarks of an earlier commit and of this one in turns, so that both meet the machine in the same mood."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PROGRAMS = ("bench_start", "bench_processes", "bench_cadence", "bench_quality", "bench_pipeline", "bench_throughput")


def checked_out(commit: str, folder: Path) -> Path:
    """Return a clone of the project at a commit."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", PROJECT, folder], check=True)
    subprocess.run(["git", "-C", folder, "checkout", "--quiet", commit], check=True)
    return folder


def run(place: Path, program: str, options: list[str]) -> None:
    """Run a program on the code of a place: its own one, or the one of today where it had none."""
    paths = [each / "tests" / "benchmarks" / f"{program}.py" for each in (place, PROJECT)]
    path = next(path for path in paths if path.exists())
    subprocess.run([sys.executable, path, *options], cwd=place, env=os.environ | {"PYTHONPATH": str(place / "lib")})


def main() -> None:
    """Run each program before and after, as often as asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("before", help="the earlier commit")
    arguments.add_argument("--turns", type=int, default=1, help="how often each program runs on either side")
    arguments.add_argument("--quick", action="store_true", help="the programs' short form")
    arguments.add_argument("--only", choices=PROGRAMS, action="append", help="this program alone; may be repeated")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetgen-", dir="/tmp") as folder:
        places = {f"before ({options.before})": checked_out(options.before, Path(folder) / "before"), "after": PROJECT}
        for program in options.only or PROGRAMS:
            for turn in range(options.turns):
                for name, place in places.items():
                    print(f"\n## {program}, {name}, turn {turn + 1}", flush=True)
                    run(place, program, ["--quick"] if options.quick else [])


if __name__ == "__main__":
    main()
