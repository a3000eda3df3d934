"""Writes fingerprints.json anew: the SHA-256 of the first batches of every shipped configuration.

Run it when the output changes on purpose, after raising ALGORITHM in lib/fleetgen/domain/records.py, and commit both
together; run it also when a preset is added or its settings change:

    .venv/bin/python tests/fingerprints/make.py

Each dataset begins at 2026-01-01T12:00:07Z with the seed of its file; companies and events are batches 0, 1 and 2,
and where issues are injected their truth has hashes too.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fleetgen.domain.records import ALGORITHM
from support.fingerprinting import fingerprint
from support.shipped_settings import shipped_settings

FILE = Path(__file__).with_name("fingerprints.json")


def main() -> None:
    """Write the file."""
    presets = {name: fingerprint(settings) for name, settings in shipped_settings().items()}
    FILE.write_text(json.dumps({"algorithm": ALGORITHM, "presets": presets}, indent=2) + "\n")
    print(f"Wrote {FILE}: {len(presets)} configurations under algorithm {ALGORITHM}.")


if __name__ == "__main__":
    main()
