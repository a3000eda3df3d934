"""Values in, values out: companies, drivers, events and their randomness. No I/O, no clock, no logging, no pydantic."""
