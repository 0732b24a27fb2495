"""When a batch is sent, what its answer means, and who is told."""
