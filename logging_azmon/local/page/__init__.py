"""Show the tables in a browser: the files of the page, and the data that it requests."""
