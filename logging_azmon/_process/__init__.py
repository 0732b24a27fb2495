"""What the process has in common: time, threads, fork and exit."""
