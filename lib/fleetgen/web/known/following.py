"""Owns following the dataset and the configuration: what was last seen of them, and telling of what has changed.

It only reads, and never takes a lock: looking must not hold up the event loop. A damaged manifest is left to those who
write it.
"""

import hashlib
import math
from dataclasses import replace
from typing import Any

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import LoadedConfig
from fleetgen.config.model import OWN_PIPELINE
from fleetgen.config.watching import ConfigWatch, Edit
from fleetgen.domain.records import SECOND, Settings, Stream, iso
from fleetgen.errors import FleetgenError
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.bronze import read_meta
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest
from fleetgen.web.known.pace import BATCHES, Pace
from fleetgen.web.known.streams import Hub

MOST_TOLD = 200
"""Batches of a stream that one look tells of; of more at once, as after a backfill, the newest."""


LOST_SHOWN = 600 * SECOND
"""For how long intervals that could not be made are told of."""


class Follower:
    """What is known of a data directory and its configuration, refreshed by `look`."""

    def __init__(self, loaded: LoadedConfig, fault: str | None, hub: Hub) -> None:
        self.loaded = loaded
        self.config_fault = fault
        self.config_loaded_at = system_now()
        self.config_valid_at = None if fault else self.config_loaded_at
        """When the configuration was last read and valid."""
        self.dataset = Dataset(loaded.layout)
        self.manifest: Manifest | None = None
        self.manifest_fault: str | None = None
        self.pace = Pace()
        self._hub = hub
        self._watch = ConfigWatch(loaded.file, loaded)
        self._told_of: str | None = None
        self._told: dict[Stream, int] = {}
        self._behind: dict[Stream, tuple[int | None, int]] = {}
        self._lost: dict[Stream, tuple[int, int]] = {}

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration in force."""
        return hashlib.sha256(self.loaded.text.encode()).hexdigest()

    @property
    def settings(self) -> Settings:
        """What the segment in force says, or the configuration before there is one."""
        manifest, config = self.manifest, self.loaded.config
        if manifest is not None and manifest.segments:
            try:
                return self.dataset.segments(manifest)[-1].settings
            except (FleetgenError, OSError):
                pass
        return config.settings(config.seed or 0)

    def next_due(self, stream: Stream) -> float:
        """Return the instant at which a stream's next batch is due; infinity while that is not known."""
        if self.manifest is None or self.manifest.origin is None:
            return math.inf
        try:
            return self.dataset.next_interval(self.manifest, stream).end
        except (FleetgenError, OSError):
            return math.inf

    def newest(self, stream: Stream, count: int) -> list[BatchEntry]:
        """Return the newest recorded batches of a stream, oldest first, as far as they can be read."""
        return self._newest(stream, self.manifest, count) if self.manifest is not None else []

    def look(self) -> None:
        """See what has changed, and tell of it."""
        if edit := self._watch.look(system_now()):
            self._configured(edit)
        before = self.manifest
        self._note_backlog()
        try:
            self.manifest, self.manifest_fault = self.dataset.store.read(), None
        except (FleetgenError, OSError) as fault:
            self.manifest_fault = str(fault)
            return
        if self.manifest is None:
            return
        if self._told_of is None:
            self._prime(self.manifest)
        elif before is None or _state(before) != _state(self.manifest):
            self._hub.tell("state_changed", self._state_told(self.manifest))
        for stream in Stream:
            self._tell_batches(stream, self.manifest)
        if self.manifest == before:
            return
        for stream in Stream:
            self._note_lost(stream, self.manifest, before)
        self._tell_acknowledged(self.manifest, before)

    def behind_for(self, now: int) -> int:
        """Return for how many microseconds the set's own pipeline has acknowledged none of a backlog."""
        return max((now - since for _, since in self._behind.values()), default=0)

    def lost(self, now: int, within: int) -> dict[Stream, int]:
        """Return by stream the intervals that its process ran through without making them, the last of them lately."""
        return {stream: count for stream, (count, at) in self._lost.items() if now - at < within}

    def _note_lost(self, stream: Stream, manifest: Manifest, before: Manifest | None) -> None:
        if before is None or before.dataset_id != manifest.dataset_id:
            self._lost.clear()
        elif (more := _failed_in(manifest, stream) - _failed_in(before, stream)) > 0:
            now = system_now()
            self._lost[stream] = self.lost(now, LOST_SHOWN).get(stream, 0) + more, now

    def _note_backlog(self) -> None:
        """Note for each stream with a backlog since when its newest acknowledgement stands."""
        own = self.manifest.consumers.get(OWN_PIPELINE) if self.manifest else None
        for stream in Stream:
            newest = own.acknowledged.get(stream) if own else None
            if self.manifest is None or own is None or not self.manifest.backlog(OWN_PIPELINE, stream):
                self._behind.pop(stream, None)
            elif stream not in self._behind or self._behind[stream][0] != newest:
                self._behind[stream] = newest, system_now()

    def _configured(self, edit: Edit) -> None:
        self.config_fault = edit.fault
        if edit.loaded is not None:
            self.loaded = replace(edit.loaded, fixed_data=self.dataset.layout.data, fixed_run=self.loaded.run)
            self.config_loaded_at = self.config_valid_at = system_now()
        told = {"valid": edit.fault is None, "error": edit.fault, "generation_mode": self.loaded.config.mode}
        self._hub.tell("config_reloaded", {**told, "digest": self.digest, "timestamp": iso(system_now())})

    def _prime(self, manifest: Manifest) -> None:
        """Take the batches that are there already into account, without telling of them."""
        self._told_of = manifest.dataset_id
        self._told = {stream: manifest.head(stream).next_batch for stream in Stream}
        for stream in Stream:
            for entry in self._newest(stream, manifest, BATCHES):
                self._add_to_pace(stream, entry)

    def _tell_batches(self, stream: Stream, manifest: Manifest) -> None:
        """Tell of the batches from the first untold one to where the manifest stands; what cannot be read now, later."""
        if manifest.dataset_id != self._told_of:
            self._told_of, self._told = manifest.dataset_id, dict.fromkeys(Stream, 0)
        untold = manifest.head(stream).next_batch - self._told[stream]
        for entry in self._newest(stream, manifest, min(untold, MOST_TOLD)):
            self._add_to_pace(stream, entry)
            self._hub.tell("batch_generated", self._batch_told(stream, entry))
            self._told[stream] = entry.batch_number + 1

    def _newest(self, stream: Stream, manifest: Manifest, count: int) -> list[BatchEntry]:
        """Return the newest batches that the manifest knows, oldest first, as far as they can be read.

        The ledger may be any number of lines ahead of the manifest that was read before it.
        """
        if count <= 0:
            return []
        end = manifest.head(stream).next_batch
        first = max(0, end - count)
        try:
            return self.dataset.ledgers[stream].batches_from(first, end - first)
        except (FleetgenError, OSError):
            return []

    def _add_to_pace(self, stream: Stream, entry: BatchEntry) -> None:
        try:
            if meta := read_meta(self.dataset.layout, stream, entry.batch_id):
                self.pace.add(stream, meta)
        except (OSError, ValueError, KeyError, TypeError):
            return

    def _tell_acknowledged(self, manifest: Manifest, before: Manifest | None) -> None:
        for name, consumer in manifest.consumers.items():
            known = before.consumers.get(name) if before is not None else None
            for stream, number in consumer.acknowledged.items():
                if known is not None and known.acknowledged.get(stream) == number:
                    continue
                latencies = consumer.latencies.model_dump() if consumer.latencies else None
                told = {"consumer": name, "stream": stream, "batch_number": number, "latencies": latencies}
                when = {"dataset_id": manifest.dataset_id, "timestamp": iso(system_now())}
                self._hub.tell("batch_processed", told | when)

    def _state_told(self, manifest: Manifest) -> dict[str, Any]:
        desired = manifest.desired
        return {
            "status": "paused" if desired.paused else "running",
            "paused": desired.paused,
            "pause_reason": desired.pause_reason,
            "dataset_id": manifest.dataset_id,
            "segment": len(manifest.segments),
            "generation_mode": self.settings.mode,
            "timestamp": iso(system_now()),
        }

    def _batch_told(self, stream: Stream, entry: BatchEntry) -> dict[str, Any]:
        told = entry.model_dump(exclude={"kind", "start", "end", "parts", "schema_version"})
        span = {"interval_start": entry.start, "interval_end": entry.end}
        return {"stream": stream, **told, **span, "timestamp": iso(system_now())}


def _failed_in(manifest: Manifest, stream: Stream) -> int:
    """Return how many intervals of a stream a running process could not make."""
    missed = manifest.head(stream).totals.missed
    return missed.get("disk", 0) + missed.get("fault", 0)


def _state(manifest: Manifest) -> tuple[Any, ...]:
    return manifest.dataset_id, manifest.desired, len(manifest.segments), manifest.reinitialised
