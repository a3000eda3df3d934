"""Owns the files in etc/grafana/dashboards: writes each anew; leaves what is in them to the module of each dashboard."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import cadence, overview, pipeline, processes, quality

FOLDER = Path(__file__).resolve().parents[2] / "etc" / "grafana" / "dashboards"
DASHBOARDS = (overview, cadence, quality, pipeline, processes)


def rendered() -> dict[str, str]:
    """Return the text of each file by its name."""
    made = [each.made() for each in DASHBOARDS]
    return {f"{each.uid}.json": json.dumps(each, cls=JSONEncoder, indent=2, sort_keys=True) + "\n" for each in made}


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
