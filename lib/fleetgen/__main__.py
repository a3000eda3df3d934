"""`python -m fleetgen` is the command line."""

from fleetgen.cli.main import main

try:
    main()
finally:
    # Where Ctrl-C came while a library ran code from a string, as dataclasses do, `python -m` ends by the signal, whatever
    # the status, though the fault was caught. It forgets that whenever such code is run (run_eval_code_obj in CPython).
    exec("pass")  # noqa: S102
