"""Owns the record of a segment: its place in the dataset and the settings in force, written whole as TOML.

When a segment opens is decided in `generation`.
"""

import hashlib
import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from fleetgen.config.model import Config, Mode
from fleetgen.config.tables.dataset import Fleet, Modes, QualityTable
from fleetgen.domain.records import Segment, Settings, instant, iso
from fleetgen.errors import ManifestError
from fleetgen.storage.files import make_folder, replace_file


class _Place(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_id: str
    number: int
    instant: str
    algorithm: int
    digest: str
    first_company_batch: int
    first_company: int
    first_event_batch: int


class _Recorded(BaseModel):
    """What of a configuration decides the bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mode: Mode
    seed: int
    fleet: Fleet
    modes: Modes
    quality: QualityTable = QualityTable()


class SegmentRecord(BaseModel):
    """A segment's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment: _Place
    settings: _Recorded

    def value(self) -> Segment:
        """Return the segment as the domain knows it."""
        place = self.segment
        config = Config(
            mode=self.settings.mode,
            fleet=self.settings.fleet,
            modes=self.settings.modes,
            quality=self.settings.quality,
        )
        return Segment(
            number=place.number,
            instant=instant(place.instant),
            algorithm=place.algorithm,
            first_company_batch=place.first_company_batch,
            first_company=place.first_company,
            first_event_batch=place.first_event_batch,
            settings=config.settings(self.settings.seed),
        )


def digest(settings: Settings) -> str:
    """Return a digest of everything that decides the bytes."""
    canonical = json.dumps(asdict(settings), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def write_segment(path: Path, segment: Segment, config: Config, dataset_id: str) -> None:
    """Write a segment's file durably."""
    place = _Place(
        dataset_id=dataset_id,
        number=segment.number,
        instant=iso(segment.instant),
        algorithm=segment.algorithm,
        digest=digest(segment.settings),
        first_company_batch=segment.first_company_batch,
        first_company=segment.first_company,
        first_event_batch=segment.first_event_batch,
    )
    recorded = _Recorded(
        mode=config.mode, seed=segment.settings.seed, fleet=config.fleet, modes=config.modes, quality=config.quality
    )
    content: dict[str, Any] = SegmentRecord(segment=place, settings=recorded).model_dump(mode="json")
    make_folder(path.parent)
    replace_file(path, tomli_w.dumps(content).encode())


def read_segment(path: Path) -> SegmentRecord:
    """Read a segment's file; raise ManifestError if it is missing or damaged."""
    try:
        record = SegmentRecord.model_validate(tomllib.loads(path.read_bytes().decode()))
        instant(record.segment.instant)
    except FileNotFoundError as fault:
        raise ManifestError(f"{path} is missing: the settings of its batches are lost. Restore it or clean.") from fault
    except (ValueError, ValidationError, RecursionError) as fault:
        raise ManifestError(f"{path} is damaged. Restore it or clean the data.") from fault
    return record
