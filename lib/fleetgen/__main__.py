"""`python -m fleetgen` is the command line."""

from fleetgen.cli.main import main

main()
