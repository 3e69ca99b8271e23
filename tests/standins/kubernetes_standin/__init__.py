"""A stand-in for one Kubernetes cluster: API server, controllers and kubelet, pods as local processes.

`api` speaks the API over `store`; `controllers` and `kubelet` do what theirs do, at the times that were
measured on a real one; `pod_network` carries what pods say to each other; `handle` is what tests hold.
Linux only: every pod has an address of its own in 127.0.0.0/8.
"""
