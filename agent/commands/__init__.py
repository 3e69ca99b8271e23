"""The command line of `operator`: one module a command; `root` puts them together.

Modules import what a command works with only when it runs: `operator --help` loads nothing heavy.
"""
