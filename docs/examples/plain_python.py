"""A pipeline in plain Python: judges every line of both streams and writes those that it rejects as JSON Lines.

Weak on purpose: it never compares a record's time with the interval of its batch.

    python plain_python.py data quarantine.jsonl
"""

import json
import sys
from datetime import datetime
from pathlib import Path

FIELDS = {
    "companies": {"company_id", "geography", "active", "created_at"},
    "events": {"event_id", "driver_id", "company_id", "truck_id", "event_type", "timestamp"},
}
CHOICES = {
    "companies": ("geography", {"US", "EU", "SA", "AUS"}),
    "events": ("event_type", {"start driving", "stopped driving", "delivered"}),
}
TIMES = {"companies": "created_at", "events": "timestamp"}


def is_time(text):
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return False
    return True


def is_wrong(stream, record):
    choice, choices = CHOICES[stream]
    return (
        record.keys() != FIELDS[stream]
        or None in record.values()
        or record[choice] not in choices
        or not is_time(record[TIMES[stream]])
    )


def main(data, quarantine):
    with open(quarantine, "w") as rejected:
        for stream in ("companies", "events"):
            for meta_file in sorted(Path(data).glob(f"raw/{stream}/*/batch_meta.json")):
                parts = json.loads(meta_file.read_text())["parts"]
                lines = [line for part in parts for line in (meta_file.parent / part["file"]).open()]
                seen = set()
                for number, line in enumerate(lines, 1):
                    if line in seen or is_wrong(stream, json.loads(line)):
                        place = {"stream": stream, "batch_id": meta_file.parent.name, "line": number}
                        rejected.write(json.dumps({**place, "raw": line}) + "\n")
                    seen.add(line)


main(*sys.argv[1:])
