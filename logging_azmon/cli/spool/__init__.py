"""Inspect a spool directory and deliver what is in it; the command itself is in `command`."""
