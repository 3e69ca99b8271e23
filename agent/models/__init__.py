"""One protocol, two drivers: Claude and offline mode. Tests have a third, a recorded session."""
