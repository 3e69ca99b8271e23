"""YCSB workloads in a process of their own."""
