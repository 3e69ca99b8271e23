"""One protocol, three drivers: Claude, a fixed script, a recorded session."""
