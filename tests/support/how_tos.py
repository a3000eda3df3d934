"""Owns what the how-tos begin with."""

from support.configs import REPOSITORY

HOW_TOS = {path.stem: path for path in sorted((REPOSITORY / "docs" / "howto").glob("*.md"))}
BESIDE_A_SET = {
    "bring-your-own-pipeline", "choose-a-mode", "edit-while-running", "limit-backlog-and-disk", "pause-and-clean",
    "read-the-logs", "read-with-lnav", "recover-from-damage", "scrape-with-prometheus", "secure-the-api", "share-a-dataset",
    "watch-and-steer", "watch-events",
}  # fmt: skip
"""They speak of a set that runs; the others begin with a checkout."""
EXACT = {"score-a-pipeline"}
"""Every number is what the page shows."""
