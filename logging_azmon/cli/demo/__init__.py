"""Demonstrate the whole loop on this machine; the command itself is in `command`."""
