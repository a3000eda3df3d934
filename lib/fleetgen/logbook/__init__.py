"""Reading logs back: the files of all processes as one, by time, level and place."""
