"""Follow a table as rows arrive; the command itself is in `command`."""
