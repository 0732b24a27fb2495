"""The same queue in files: rows survive the process."""
