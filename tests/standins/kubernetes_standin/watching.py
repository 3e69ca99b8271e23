"""Lists and watches."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping

from aiohttp import web

from tests.standins.kubernetes_standin.kinds import Kind, Object, field_selector, label_selector
from tests.standins.kubernetes_standin.store import ApiError, Change, Store

DEFAULT_TIMEOUT_S = 1800.0


def _selector(query: Mapping[str, str], namespace: str) -> Callable[[Object], bool]:
    by_label, by_field = (
        label_selector(query.get("labelSelector", "")),
        field_selector(query.get("fieldSelector", "")),
    )

    def selects(thing: Object) -> bool:
        if namespace and thing["metadata"].get("namespace") != namespace:
            return False
        return by_label(thing) and by_field(thing)

    return selects


def listed(store: Store, query: Mapping[str, str], kind: Kind, namespace: str) -> Object:
    """Answer a list, in pages where they are asked for."""
    selects = _selector(query, namespace)
    found = [each for each in store.list(kind.plural, namespace) if selects(each)]
    start, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
    meta: Object = {"resourceVersion": str(store.revision)}
    page = found[start : start + limit] if limit else found[start:]
    if limit and start + limit < len(found):
        meta |= {"continue": str(start + limit), "remainingItemCount": len(found) - start - limit}
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": meta,
        # in a list, items carry neither
        "items": [{n: v for n, v in each.items() if n not in ("kind", "apiVersion")} for each in page],
    }


async def watch(
    store: Store, request: web.Request, kind: Kind, namespace: str, bookmark_s: float
) -> web.StreamResponse:
    """Answer a watch: what changed since its revision, then what changes, until its time is up."""
    query = request.query
    selects = _selector(query, namespace)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    queue, end = store.watch()
    response.enable_chunked_encoding()
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + float(query.get("timeoutSeconds") or DEFAULT_TIMEOUT_S)
    bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
    try:
        for line in _missed(store, query.get("resourceVersion") or "", kind, namespace, selects):
            await response.write(line)
            if b'"ERROR"' in line[:20]:
                return response
        next_bookmark = loop.time() + bookmark_s
        while (left := deadline - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, max(0.0, next_bookmark - loop.time()))):
                    change = await queue.get()
            except TimeoutError:
                if bookmarks:
                    await response.write(_bookmark(store, kind))
                next_bookmark = loop.time() + bookmark_s
                continue
            if change is None:
                break
            if (told := _seen(change, kind, selects)) is not None:
                await response.write(told)
    except ConnectionError:
        pass
    finally:
        end()
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    return response


def _missed(
    store: Store, since: str, kind: Kind, namespace: str, selects: Callable[[Object], bool]
) -> list[bytes]:
    """What a watch is told first."""
    if since in ("", "0"):
        found = [each for each in store.list(kind.plural, namespace) if selects(each)]
        return [_line("ADDED", each) for each in found]
    if int(since) < store.compacted:
        text = f"too old resource version: {since} ({store.compacted})"
        return [_line("ERROR", ApiError(410, "Expired", text).status)]
    told = [_seen(change, kind, selects) for change in store.changes if change.revision > int(since)]
    return [line for line in told if line is not None]


def _seen(change: Change, kind: Kind, selects: Callable[[Object], bool]) -> bytes | None:
    """How a change looks through a selector: what no longer fits it was deleted, as far as it can see."""
    if change.kind is not kind:
        return None
    now, before = selects(change.after), change.before is not None and selects(change.before)
    match change.type:
        case "DELETED":
            return _line("DELETED", change.after) if before else None
        case _ if now:
            return _line("MODIFIED" if before else "ADDED", change.after)
    return _line("DELETED", change.after) if before else None


def _bookmark(store: Store, kind: Kind) -> bytes:
    meta = {"resourceVersion": str(store.revision), "creationTimestamp": None}
    return _line("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta})


def _line(type_: str, thing: Object) -> bytes:
    return json.dumps({"type": type_, "object": thing}).encode() + b"\n"
