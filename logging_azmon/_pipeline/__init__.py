"""The inside of a pipeline: rows come in, and are flushed, closed, captured, or left to a fork or an exit."""
