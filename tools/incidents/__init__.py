"""What happened, from the first signal to recovery, kept in SQLite; reports."""
