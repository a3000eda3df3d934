"""The HTTP API: its routes, the shapes of its answers, and how faults are answered."""
