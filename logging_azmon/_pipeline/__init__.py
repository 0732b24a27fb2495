"""What is behind a pipeline: rows come in, wait, and are flushed, closed, captured or shared."""
