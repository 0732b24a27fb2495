"""Plan a fleet against the quotas of its rules; the command itself is in `command`."""
