"""What is written of a session, without keys, and what can be read back: its entries, and the replay."""
