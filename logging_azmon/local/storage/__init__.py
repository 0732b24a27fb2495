"""Keep the tables: the SQL of each rule, the database, the threads that write, the problems found on the way."""
