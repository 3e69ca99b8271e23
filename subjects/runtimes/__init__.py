"""Where nodes run: local processes, a container engine, or somebody else's machines."""
