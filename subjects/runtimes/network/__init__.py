"""The network of an embedded cluster: a process that every connection between members and clients passes.

It is always in place, so that a fault changes no topology. Who is who, and who outlives whom, stands in
docs/decisions/0002-who-outlives-whom.md.

    rules.py     the rules in force, in a file that survives every process
    proxy.py     the worker: passes bytes, holds them back or drops them as the rules say
    __main__.py  the supervisor: holds the listening sockets and replaces a dead worker at once
    control.py   how the runtime starts it, and puts rules in force
"""
