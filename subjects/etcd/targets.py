"""Targets of faults in etcd, besides node names."""

from subjects.base.targets import FOLLOWER, LEADER, RANDOM, TargetRole

TARGETS: tuple[TargetRole, ...] = (LEADER, FOLLOWER)
USUAL_TARGET = RANDOM
