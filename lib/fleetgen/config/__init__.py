"""The configuration: its model, its faults in words, loading, presets, and the record of a segment's settings."""
