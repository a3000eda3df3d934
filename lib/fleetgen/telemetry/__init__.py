"""What processes tell of themselves: metrics for Prometheus, log lines for people and programs."""
