"""What is known of the set and its dataset: followed, never asked for while a request waits."""
