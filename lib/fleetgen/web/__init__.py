"""HTTP: the control API, what it answers, and what it refuses."""
