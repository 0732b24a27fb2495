"""Show the tables in a browser: the files of the page, and what it asks the workspace for."""
