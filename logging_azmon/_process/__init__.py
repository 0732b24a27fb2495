"""State of the whole process: clock, delivering threads, fork and exit."""
