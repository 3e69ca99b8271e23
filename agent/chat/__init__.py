"""The chat at a terminal: prompt, keys, questions to the person, slash commands."""
