"""Leave to publish, for tests of what lies below the making of batches."""

from collections.abc import Iterator
from contextlib import contextmanager

from fleetgen.storage.layout import Layout
from fleetgen.storage.permits import Permit
from fleetgen.storage.store import ManifestStore


@contextmanager
def permitted(layout: Layout) -> Iterator[Permit]:
    """Hold the manifest's lock for a block, with leave to publish into the dataset that is there."""
    with ManifestStore(layout).locked() as transaction:
        yield transaction.permit(transaction.manifest.dataset_id)
