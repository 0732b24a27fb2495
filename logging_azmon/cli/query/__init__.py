"""Run a KQL query and show its result; the command itself is in `command`."""
