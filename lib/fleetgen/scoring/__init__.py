"""How well a pipeline rejects: what it quarantined against what was injected, for our own pipeline and anybody's.

The core packages suffice, but for Parquet and Delta.
"""

from fleetgen.scoring.choosing import Choice
from fleetgen.scoring.scoring import MOST_LISTED, score
from fleetgen.scoring.tally import Finding, Score, Tally

__all__ = ["MOST_LISTED", "Choice", "Finding", "Score", "Tally", "score"]
