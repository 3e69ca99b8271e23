"""Nodes as pods: a cluster of operator's own in a namespace of its own, or one that somebody else runs.

options.py   what a person says of it: context, namespace, which pods
api.py       the API server, through the official client; its refusals in plain words
stream.py    bytes to and from a pod: exec and port-forward
pods.py      the pod watch, and what it says of each node
way.py       how the database is reached: straight, through a pod of ours, through the API server
attached.py  pods of somebody else: seen, never acted on
"""
