"""The commands of `operator`, a module a group. Nothing heavy is imported until a command runs."""
