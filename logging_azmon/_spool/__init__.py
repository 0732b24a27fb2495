"""Keep rows in files, so that they survive the process."""
