"""What a scrape gets, in Prometheus' own judgement, and how `/healthz` follows the watching."""

import asyncio

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.watch.metrics import MetricsServer, WatchMetrics, listen_address
from agent.watch.state import STALLED_S, WatchState
from subjects.errors import BadSetup

STATE = WatchState(
    state="degraded",
    nodes={"etcd-1": "up", "etcd-2": "down"},
    invariants={"store_up": True, "quorum": False},
    open_incidents=1,
    probes_answered=42,
    snapshot_age_s=0.5,
    looked_s=0.5,
)


def made(state: WatchState = STATE) -> WatchMetrics:
    return WatchMetrics("prod", lambda: state, lambda: {("webhook", "sent"): 3})


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def test_states_and_counts_are_as_they_are() -> None:
    text = made().text().decode()

    assert value(text, "operator_node_state", node="etcd-2", state="down") == 1.0
    assert value(text, "operator_node_state", node="etcd-2", state="up") == 0.0
    assert value(text, "operator_cluster_state", state="degraded") == 1.0
    assert value(text, "operator_invariant_broken", invariant="store_up") == 1.0
    assert value(text, "operator_probes_answered_total") == 42.0
    assert value(text, "operator_notifications_total", receiver="webhook", result="sent") == 3.0


def test_what_is_unknown_has_no_sample() -> None:
    unseen = WatchState("unknown", {}, {}, 0, 0, None, None)
    text = made(unseen).text().decode()

    assert value(text, "operator_snapshot_age_seconds") is None
    assert value(text, "operator_watching") == 0.0


def test_a_thousand_nodes_have_as_many_series_as_they_have_states() -> None:
    nodes = {f"n{n}": "up" for n in range(1000)}
    text = made(WatchState("healthy", nodes, {}, 0, 0, 0.1, 0.1)).text().decode()

    assert len([line for line in text.splitlines() if not line.startswith("#")]) < 5 * 1000 + 60


@pytest.mark.promtool
async def test_promtool_has_nothing_to_complain_of() -> None:
    checked = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await checked.communicate(made().text())

    assert (checked.returncode, printed.decode()) == (0, "")


@pytest.mark.parametrize(("looked_s", "status"), [(0.5, 200), (STALLED_S + 1.0, 503), (None, 503)])
async def test_health_says_whether_looks_go_on(looked_s: float | None, status: int) -> None:
    state = WatchState("healthy", {}, {}, 0, 0, 100.0, looked_s)
    server = MetricsServer(made(state))
    host, port = await server.start("127.0.0.1", 0)
    try:
        async with httpx2.AsyncClient() as http:
            health = await http.get(f"http://{host}:{port}/healthz")
            scrape = await http.get(f"http://{host}:{port}/metrics")
    finally:
        await server.aclose()

    assert (health.status_code, scrape.status_code) == (status, 200)
    assert scrape.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_a_port_that_is_taken_is_one_line() -> None:
    first, second = MetricsServer(made()), MetricsServer(made())
    host, port = await first.start("127.0.0.1", 0)
    try:
        with pytest.raises(BadSetup, match=rf"--metrics-listen 127.0.0.1:{port}: "):
            await second.start(host, port)
    finally:
        await first.aclose()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9600", ("127.0.0.1", 9600)),
        ("0.0.0.0:9600", ("0.0.0.0", 9600)),
        ("[::1]:9600", ("::1", 9600)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address


@pytest.mark.parametrize("text", ["", "9600", "host", "host:", "host:x", "host:70000", "a:b:1", "host:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadSetup, match="expected HOST:PORT"):
        listen_address(text)
