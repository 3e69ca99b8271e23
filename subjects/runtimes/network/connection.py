"""Both ends of one connection, and which rules touch it."""

from collections.abc import Callable, Sequence

from subjects.base import Direction, LinkRule, Scope
from subjects.runtimes.layout import Link
from subjects.runtimes.network.dialers import GONE
from subjects.runtimes.network.pipe import PLAIN, Pipe, Shaping


class Connection:
    """From whoever dialled (`near`) to the node (`far`)."""

    def __init__(self, link: Link, near: Pipe) -> None:
        self.link = link
        self.near = near
        self.far = Pipe()
        self.held = False
        """Asked for during a cut: never passed on, reset when the cut ends."""
        self.source: str | None = None
        """The node that dialled; None for clients, and until somebody asked. GONE may be any of them."""
        self._open_ends = 1

    def join(self, on_closed: Callable[[], None]) -> None:
        """From now on each end feeds the other, as soon as that is there."""
        self._open_ends = 2
        self.near.other, self.far.other = self.far, self.near

        def closed() -> None:
            self._open_ends -= 1
            if not self._open_ends:
                on_closed()

        self.near.on_closed = self.far.on_closed = closed

    def shape(self, rules: Sequence[LinkRule]) -> None:
        """Put the rules in force on both directions."""
        if self.touched(rules, "reset"):
            self.near.abort(reset=True)
            self.far.abort(reset=True)
            return
        self.near.shape(self._shaping(rules, inward=True))
        self.far.shape(self._shaping(rules, inward=False))

    def touched(self, rules: Sequence[LinkRule], effect: str) -> LinkRule | None:
        """Return the first rule with that effect that touches this connection in any direction."""
        for rule in rules:
            if rule.effect == effect and (
                self._matches(rule, inward=True) or self._matches(rule, inward=False)
            ):
                return rule
        return None

    def _shaping(self, rules: Sequence[LinkRule], *, inward: bool) -> Shaping:
        """What the rules make of the bytes to the node (`inward`) or from it: the worst of each kind."""
        cut, delay_s, rate = False, 0.0, 0.0
        for rule in rules:
            if not self._matches(rule, inward=inward):
                continue
            cut = cut or rule.effect == "cut" or (rule.effect == "rate" and not rule.value)
            if rule.effect == "delay":
                delay_s = max(delay_s, rule.value / 1000)
            if rule.effect == "rate" and rule.value:
                rate = min(rate, rule.value) if rate else rule.value
        return Shaping(cut, delay_s, rate) if cut or delay_s or rate else PLAIN

    def _matches(self, rule: LinkRule, *, inward: bool) -> bool:
        """Whether the rule touches bytes that go to this link's node (`inward`) or come from it."""
        if rule.scope not in (self.link.scope, Scope.BOTH):
            return False
        if rule.node == self.link.node:
            into_rule_node = inward
        elif self.link.scope is Scope.PEERS and self.source in (rule.node, GONE):
            # What somebody said and did not wait for must not slip through a cut: its node may be the one.
            into_rule_node = not inward
        else:
            return False
        return rule.direction is Direction.BOTH or (rule.direction is Direction.IN) == into_rule_node
