"""etcd: three members that elect a leader by raft."""
