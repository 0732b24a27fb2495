"""When a batch is sent, what its answer means for its rows, and what is reported."""
