"""Queue rows in batches, keep them in memory, and count each row once."""
