"""The conversation: who talks, how a turn runs, what the terminal shows."""
