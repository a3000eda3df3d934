"""Owns where everything lies below the data directory; reads and writes nothing."""

from dataclasses import dataclass
from pathlib import Path

from fleetgen.domain.records import Stream


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one data directory. Those asked for with each batch are joined at once: a join takes microseconds."""

    data: Path

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def staging(self) -> Path:
        return self.data / ".staging"

    @property
    def spill(self) -> Path:
        """What the pipeline's work takes beyond its memory; emptied at its start."""
        return self.data / ".spill"

    @property
    def company_index(self) -> Path:
        """Which companies silver knows, for the pipeline; it follows from the tables."""
        return self.data / ".index" / "companies.sqlite"

    @property
    def manifests(self) -> Path:
        return self.data / "manifests"

    @property
    def logs(self) -> Path:
        return self.manifests / "logs"

    @property
    def segments(self) -> Path:
        return self.manifests / "segments"

    @property
    def manifest(self) -> Path:
        return self.manifests / "generator_state.json"

    @property
    def manifest_lock(self) -> Path:
        return self.manifests / "generator_state.lock"

    @property
    def batch_manifest(self) -> Path:
        return self.manifests / "batch_manifest.json"

    @property
    def dataset_note(self) -> Path:
        return self.manifests / "dataset.md"

    @property
    def all_companies(self) -> Path:
        return self.raw / "companies.jsonl"

    def stream(self, stream: Stream) -> Path:
        """The folder of a stream's batches."""
        return self.data.joinpath("raw", stream)

    def batch(self, stream: Stream, batch_id: str) -> Path:
        return self.data.joinpath("raw", stream, batch_id)

    def truth(self, stream: Stream, batch_id: str) -> Path:
        """The folder that says what was injected into a batch, apart from bronze."""
        return self.data.joinpath("truth", stream, batch_id)

    def truths(self, stream: Stream) -> Path:
        """The folder of the truths of a stream's batches."""
        return self.data.joinpath("truth", stream)

    def batch_meta(self, stream: Stream, batch_id: str) -> Path:
        return self.data.joinpath("raw", stream, batch_id, "batch_meta.json")

    def staged(self, stream: Stream, place: int | None = None) -> Path:
        """The folder in which a stream makes its next batch; several are made at once in numbered places."""
        return self.data.joinpath(".staging", stream if place is None else f"{stream}-{place}")

    def ledger(self, stream: Stream) -> Path:
        return self.manifests / "ledger" / f"{stream}.jsonl"

    def pruned(self, stream: Stream) -> Path:
        """Says which of a stream's batches were removed on purpose."""
        return self.manifests / "ledger" / f"{stream}.pruned"

    def segment(self, number: int) -> Path:
        return self.segments / f"{number:04d}.toml"

    def holder_lock(self, stream: Stream) -> Path:
        """Held by the one process that makes this stream, for as long as it lives."""
        return self.manifests / f"{stream}.lock"

    def writer_lock(self, stream: Stream) -> Path:
        """Held while a batch of this stream is being made, so that cleaning can wait for its end."""
        return self.manifests / f"{stream}.writing.lock"

    @property
    def tables_holder_lock(self) -> Path:
        """Held by the one process that makes tables, for as long as it lives."""
        return self.manifests / "tables.lock"

    @property
    def tables_lock(self) -> Path:
        """Held while tables are being written, for the same reason."""
        return self.manifests / "tables.writing.lock"

    @property
    def silver(self) -> Path:
        return self.data / "staged"

    @property
    def gold(self) -> Path:
        return self.data / "processed"

    @property
    def dataset_parts(self) -> tuple[Path, ...]:
        """Everything that belongs to a dataset and goes when it is cleaned; locks, logs and the manifest stay."""
        names = ("raw", "truth", "staged", "processed", ".staging", ".spill", ".index")
        return (
            *(self.data / name for name in names),
            self.manifests / "ledger",
            self.segments,
            self.batch_manifest,
            self.dataset_note,
        )
