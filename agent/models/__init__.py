"""One protocol, two drivers: Claude and a fixed script. Tests have a third, a recorded session."""
