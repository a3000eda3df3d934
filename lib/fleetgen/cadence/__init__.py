"""When batches are due: the clock, the schedule (pure), and the loop that waits."""
