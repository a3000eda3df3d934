"""The panels of the page, one file each: what it shows of a view, and how it looks."""
