"""Time that passes only when somebody sleeps."""

import asyncio

from agent.models.retry import Patience


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def patience(self, total_s: float = 900.0) -> Patience:
        return Patience(total_s, clock=lambda: self.now, sleep=self.sleep, spread=lambda: 1.0)
