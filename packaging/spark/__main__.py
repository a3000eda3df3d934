"""Owns a standalone cluster of Spark on this machine, from the pip package; `make spark-up` and `make spark-down` call it."""

import argparse
import sys
from pathlib import Path

from cluster import Cluster, Ports, Size

from fleetgen.errors import FleetgenError
from fleetgen.generation.spark.surroundings import check_java, check_pyspark

CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Do what was asked for; end with a status of the command line's table."""
    options = _arguments()
    cluster = Cluster(options.run.resolve())
    try:
        if options.action == "up":
            check_java()
            check_pyspark()
            ports = Ports(options.port, options.ui_port)
            print(cluster.up(ports, Size(options.workers, options.cores, options.memory)))
        else:
            print("The cluster is down." if cluster.down() else "No cluster is running.")
    except FleetgenError as fault:
        print(f"fleetgen: {fault}", file=sys.stderr)
        sys.exit(fault.exit_status)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="packaging/spark", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--run", type=Path, default=CHECKOUT / "run" / "spark", help="folder of pid files and logs")
    parser.add_argument("--port", type=int, default=7077, help="the master's port")
    parser.add_argument("--ui-port", type=int, default=8080, help="the port of the master's page, on 127.0.0.1 alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1, help="cores that each worker offers")
    parser.add_argument("--memory", default="1g", help="memory that each worker offers")
    return parser.parse_args()


main()
