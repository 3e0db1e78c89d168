"""The store in a database: SQLite or PostgreSQL, one text of SQL for both."""
