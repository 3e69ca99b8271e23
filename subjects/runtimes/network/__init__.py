"""The network of an embedded cluster: a process that every connection between members and clients passes.

It is always in place, so that a fault changes no topology. Who is who, and who outlives whom, stands in
docs/decisions/0002-who-outlives-whom.md.

    rules.py     the rules in force, in a file that survives every process
    proxy.py     the worker: accepts, dials through, puts rules in force on every …
    connection.py  … connection, which knows what touches it, and its two ends:
    pipe.py      each passes bytes on, or holds them back as the rules say
    dialers.py   who dialled: which node owns the other end of a connection,
    sockdiag.py  asked of the kernel
    __main__.py  the supervisor: holds the listening sockets and replaces a dead worker at once
    control.py   how the runtime starts it, and puts rules in force
"""
