"""A real headless Chromium, spoken to by its DevTools protocol: opens a page, listens, takes pictures."""

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_TROUBLE = {"Runtime.exceptionThrown", "Network.loadingFailed"}


@dataclass
class Tab:
    """One page in the browser."""

    socket: aiohttp.ClientWebSocketResponse
    session: str
    events: list[dict[str, Any]] = field(default_factory=list)
    _sent: int = 100

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events on the way are kept."""
        self._sent += 1
        await self.socket.send_json(
            {"id": self._sent, "method": method, "params": params, "sessionId": self.session}
        )
        async with asyncio.timeout(60):
            while True:
                message = json.loads((await self.socket.receive()).data)
                if message.get("id") == self._sent:
                    assert "error" not in message, message
                    result: dict[str, Any] = message["result"]
                    return result
                self.events.append(message)

    async def value(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def open(self, path: Path) -> None:
        """Open a file and wait until it is drawn."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=path.as_uri())
        await self.value(
            "new Promise(r => document.readyState == 'complete' ? r() : addEventListener('load', () => r()))"
        )

    async def look(self, scheme: Literal["light", "dark"], width: int, media: str = "") -> None:
        """Be a window of that width, in light or dark, on screen or in print."""
        await self.call(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )

    async def picture(self, path: Path) -> bytes:
        """Take a picture of the whole page."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        data = base64.b64decode(shot["data"])
        path.write_bytes(data)
        return data

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Exceptions, failed loads, and errors and warnings on the console."""
        return [
            event
            for event in self.events
            if event.get("method") in _TROUBLE
            or (event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] != "verbose")
            or (
                event.get("method") == "Runtime.consoleAPICalled"
                and event["params"]["type"] in {"error", "warning", "assert"}
            )
        ]

    @property
    def asked_for(self) -> list[str]:
        """Every address that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """Start Chromium with a profile of its own, and end it."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
        f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(await _address(process), max_msg_size=1 << 27) as socket,
        ):
            yield await _tab(socket)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(60):
        async for line in process.stderr:
            if found := _LISTENING.search(line):
                return found[1].decode()
    raise AssertionError("Chromium ended before it listened")


async def _tab(socket: aiohttp.ClientWebSocketResponse) -> Tab:
    root = Tab(socket, "")

    async def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
        await socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(60):
            while (message := json.loads((await socket.receive()).data)).get("id") != number:
                root.events.append(message)
        result: dict[str, Any] = message["result"]
        return result

    target = await ask(1, "Target.createTarget", url="about:blank")
    attached = await ask(2, "Target.attachToTarget", targetId=target["targetId"], flatten=True)
    return Tab(socket, attached["sessionId"])
