"""What the agent can do: one folder a capability, its engine beside its tool definition."""
