"""The implementation of a pipeline: log calls, flush and close, reconfiguration, and captures."""
