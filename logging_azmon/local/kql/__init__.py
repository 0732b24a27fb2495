"""Translate KQL into SQL. Only `translation` imports the KQL engine; `quoting` needs nothing but Python."""
