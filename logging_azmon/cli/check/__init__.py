"""Check, step by step, whether rows will arrive; the command itself is in `command`."""
