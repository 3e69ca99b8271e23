"""One session from its opening to its end, and earlier ones: found, shown, continued."""
