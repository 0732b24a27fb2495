"""The ordinary record and event, encoded in one step."""
