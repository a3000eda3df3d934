"""Owns which rule finds which type of injected issue; it needs no engine."""

ISSUE_OF_RULE = {
    "missing_field": "missing_field",
    "null_value": "null_value",
    "malformed_timestamp": "malformed_timestamp",
    "invalid_enum": "invalid_enum",
    "duplicate": "duplicate",
    "outside_interval": "boundary_violation",
}
"""The type of injected issue that a rule finds; the other rules find what fleetgen never injects."""
