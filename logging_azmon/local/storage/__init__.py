"""Keep the tables: the SQL of each rule, the database, the threads that write, the record of problems."""
