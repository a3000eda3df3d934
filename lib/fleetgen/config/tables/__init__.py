"""The tables of `generator.toml`: those that decide the bytes, and those about the set that makes them."""
