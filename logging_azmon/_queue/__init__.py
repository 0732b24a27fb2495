"""Queue rows in batches, in memory, and count each of them."""
