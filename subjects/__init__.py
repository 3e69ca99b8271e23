"""The systems operated on: what each database is, and where its nodes run."""
