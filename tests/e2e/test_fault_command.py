"""`operator fault`, `logs` and `describe` on a real cluster of local processes."""

from pathlib import Path

from tests.e2e.programs import operator, until_gone
from tests.reference import FILE, differences

JSON = ("--output", "json")


async def test_a_fault_by_hand_is_seen_by_others_and_healed(tmp_path: Path) -> None:
    up = await operator(tmp_path, "deploy", "up", "--subject", "etcd", *JSON)
    try:
        left = await operator(tmp_path, "fault", "inject", "kill", "etcd-2", *JSON)
        degraded = await operator(tmp_path, "deploy", "status", *JSON)
        listed = await operator(tmp_path, "fault", "list", *JSON)
        described = await operator(tmp_path, "describe", "etcd-2", *JSON)
        second = await operator(tmp_path, "fault", "inject", "pause", "etcd-1", *JSON)
        healed = await operator(tmp_path, "fault", "heal", str(left.result["fault"]), *JSON)
        held = await operator(tmp_path, "fault", "inject", "pause", "etcd-1", "--for", "500ms", *JSON)
        healthy = await operator(tmp_path, "deploy", "status", *JSON)
        logs = await operator(tmp_path, "logs", "etcd-2", "-n", "5", "--grep", "raft")
        read = await operator(tmp_path, "logs", "etcd-2", *JSON)
        watched = await operator(tmp_path, "watch", "--for", "1s", *JSON)
        asked = await operator(tmp_path, "-p", "is it healthy?", "--offline", *JSON)
        nobody = await operator(tmp_path, "logs", "etcd-9")
        hung = await operator(
            tmp_path,
            *("fault", "inject", "pause", "etcd-1", "--for", "10m", "--output", "stream-json"),
            stop_at={"type": "progress"},
        )
        afterwards = await operator(tmp_path, "deploy", "status", *JSON)
    finally:
        downs = [await operator(tmp_path, "deploy", "down", *JSON) for _ in range(2)]

    assert [ran.code for ran in (up, *downs)] == [0] * 3
    assert downs[0].result["cluster"] == "down"
    assert await until_gone(tmp_path) == []
    # Ctrl-C heals at once.
    assert (hung.code, afterwards.code, afterwards.result["cluster"]) == (130, 0, "healthy")
    assert (left.code, left.result["verified"], left.result["nodes"]) == (0, True, ["etcd-2"])
    # The fault outlives the command that injected it, and one fault at a time is the rule.
    assert (degraded.code, degraded.result["cluster"]) == (3, "degraded")
    assert [each["kind"] for each in listed.result["open"]] == ["kill"]
    assert described.result["node"]["process"] == "exited"
    assert described.result["faults"] == [
        {"fault": left.result["fault"], "kind": "kill", "state": "injected"}
    ]
    assert (second.code, "still open" in second.result["error"]) == (1, True)
    assert (healed.code, healed.result["recovered"]) == (0, True)
    assert (held.code, held.result["recovered"], held.result["kind"]) == (0, True, "pause")
    assert (healthy.code, healthy.result["cluster"]) == (0, "healthy")
    assert 1 <= len(logs.out.splitlines()) <= 5
    assert nobody.code == 2
    document = FILE.read_text(encoding="utf-8")
    documented = (up, degraded, listed, described, left, held, healed, healthy, read, watched, asked)
    assert [differences(ran.result["command"], ran.result, document) for ran in documented] == [[]] * 11
