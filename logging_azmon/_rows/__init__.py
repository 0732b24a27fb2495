"""From a record or an event dict to one line of JSON."""
