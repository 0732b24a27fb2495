"""Answer queries as the Log Analytics query API does."""
