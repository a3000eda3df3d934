"""Owns what people ask of a dataset, whoever asks: pause, resume, and what consumers acknowledge.

All of it is desired state in the manifest, so it needs no running process and survives restarts. Cleaning is in
`cleaning`.
"""

from dataclasses import dataclass

from fleetgen.config.model import Config
from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError, UsageError
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.manifest import MOST_CONSUMERS, Consumer, Latencies, Manifest, Outcome, Reinitialisation

_BASELINE_FILES = {Stream.COMPANIES: "raw/companies.jsonl", Stream.EVENTS: "raw/events"}


def stall(until: str) -> str:
    """Say why a stream stands still until an instant, and both remedies."""
    return (
        f"nothing is made before {until}: the clock was ahead when the dataset was last written. If the clock is "
        "wrong now, set it right; if it was wrong then, start over with `fleetgen pause`, `clean --yes` and `resume`"
    )


class WrongDataset(FleetgenError):
    """The dataset is another one by now: it was cleaned. Read its id again and start over."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a resume did."""

    changed: bool
    """Whether it was paused before."""
    missing: tuple[Stream, ...] = ()
    """The streams without a batch, which the generators begin at once."""
    actions: tuple[str, ...] = ()
    """What is made for them, such as ``companies:10``."""


def pause(dataset: Dataset, at: int, reason: str | None) -> bool:
    """Let nothing be published from now on; return whether it was not paused before."""
    with dataset.store.locked() as transaction:
        desired = transaction.manifest.desired
        if not desired.paused:
            changed = desired.updated(paused=True, paused_at=at, pause_reason=reason)
            transaction.save(transaction.manifest.updated(desired=changed))
        return not desired.paused


def resume(dataset: Dataset, at: int, config: Config) -> Resumed:
    """Let each stream go on with its next interval; a stream that is empty gets its first batch at once.

    ``config`` sizes that batch, and is what the dataset begins with.
    """
    with dataset.store.locked() as transaction:
        manifest = transaction.manifest
        if not manifest.desired.paused:
            return Resumed(False)
        missing = tuple(stream for stream in Stream if not manifest.head(stream).next_batch)
        actions = tuple(_baseline(stream, config) for stream in missing)
        desired = manifest.desired.updated(paused=False, resumed_at=at, pause_reason=None)
        transaction.save(_noted(manifest.updated(desired=desired), at, missing, actions))
        return Resumed(True, missing, actions)


def _baseline(stream: Stream, config: Config) -> str:
    size = config.settings(config.seed or 0).companies_per_batch
    return f"companies:{size}" if stream is Stream.COMPANIES else "driver_batch:1"


def _noted(manifest: Manifest, at: int, missing: tuple[Stream, ...], actions: tuple[str, ...]) -> Manifest:
    if not missing:
        return manifest
    files = tuple(_BASELINE_FILES[stream] for stream in missing)
    count = manifest.reinitialised.count + 1
    return manifest.updated(reinitialised=Reinitialisation(count=count, at=at, actions=actions, missing_files=files))


def register(dataset: Dataset, name: str) -> Manifest:
    """Make a consumer known, so that it is waited for; one that is known stays as it is. Returns the manifest."""
    with dataset.store.locked() as transaction:
        manifest = transaction.manifest
        return transaction.save(_with_consumer(manifest, name, _known(manifest, name)))


def _known(manifest: Manifest, name: str) -> Consumer:
    """Return a consumer as it is known; one that comes back is waited for from where it was, a new one from now on.

    What it has by now it has to say itself.
    """
    if name in manifest.consumers:
        return manifest.consumers[name]
    gone = manifest.departed.get(name)
    heads = {stream: manifest.head(stream).next_batch for stream in Stream}
    return Consumer(waited_from=heads if gone is None else {stream: gone.has(stream) + 1 for stream in Stream})


def acknowledge(
    dataset: Dataset,
    name: str,
    dataset_id: str,
    numbers: dict[Stream, int],
    at: int,
    latencies: Latencies | None = None,
    outcome: Outcome | None = None,
    anew: bool = False,
) -> Manifest:
    """Record the newest batch that a consumer has of each stream; an older number than before changes nothing.

    ``anew`` tells what it has whatever it acknowledged before, as when its tables were deleted; -1 is nothing. Without
    new latencies or a new outcome, those told before stay.

    Raises WrongDataset after a clean, UsageError for a batch that was never published.
    """
    with dataset.store.locked() as transaction:
        manifest = transaction.manifest
        if manifest.dataset_id != dataset_id:
            raise WrongDataset
        for stream, number in numbers.items():
            _check_published(manifest, stream, number)
        before = _known(manifest, name)
        if anew:
            before = before.updated(acknowledged={}, waited_from={})
        newest = {stream: max(number, before.acknowledged.get(stream, -1)) for stream, number in numbers.items()}
        known = before.acknowledged | {stream: number for stream, number in newest.items() if number >= 0}
        told = {"latencies": latencies or before.latencies, "outcome": outcome or before.outcome}
        after = before.updated(acknowledged=known, acknowledged_at=at, **told)
        return transaction.save(_with_consumer(manifest, name, after))


def leave(dataset: Dataset, name: str) -> bool:
    """Wait for a consumer no more, but remember what it has; return whether it was known."""
    with dataset.store.locked() as transaction:
        manifest = transaction.manifest
        gone = manifest.consumers.get(name)
        if gone is None:
            return False
        rest = _without(manifest.consumers, name)
        departed = {**_without(manifest.departed, name), name: gone}
        newest = dict(list(departed.items())[-MOST_CONSUMERS:])
        transaction.save(manifest.updated(consumers=rest, departed=newest))
        return True


def _without(consumers: dict[str, Consumer], name: str) -> dict[str, Consumer]:
    return {other: consumer for other, consumer in consumers.items() if other != name}


def _check_published(manifest: Manifest, stream: Stream, number: int) -> None:
    newest = manifest.head(stream).next_batch - 1
    if number > newest:
        state = f"the newest is {newest}" if newest >= 0 else "none is published yet"
        raise UsageError(f"There is no batch {number} of {stream}: {state}.")


def _with_consumer(manifest: Manifest, name: str, consumer: Consumer) -> Manifest:
    if name not in manifest.consumers and len(manifest.consumers) >= MOST_CONSUMERS:
        raise UsageError(f"There are {MOST_CONSUMERS} consumers already: let one leave first.")
    return manifest.updated(
        consumers={**manifest.consumers, name: consumer}, departed=_without(manifest.departed, name)
    )
