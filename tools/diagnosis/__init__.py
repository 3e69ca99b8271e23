"""What happened, from evidence alone, and the check that it is held by it."""
