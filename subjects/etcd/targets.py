"""Whom a fault may be aimed at in etcd, beside a node's name."""

from subjects.base.targets import FOLLOWER, LEADER, RANDOM, TargetRole

TARGETS: tuple[TargetRole, ...] = (LEADER, FOLLOWER)
USUAL_TARGET = RANDOM
