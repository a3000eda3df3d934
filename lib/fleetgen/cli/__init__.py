"""The command line: reads arguments, calls the layers below, and says what came of it."""
