"""Field cases: incidents on real etcd members that somebody else runs, and what operator must say."""
