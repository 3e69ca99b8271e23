"""No key, token or password is shown, kept or handed to a database, and no ordinary word is taken for one."""

import io
import json
import re
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import yaml

from agent.view.jsonl import JsonView
from agent.view.plain import PlainView
from agent.watch.webhook import receiver_host
from subjects.endpoints import parse_endpoint
from subjects.errors import BadSetup
from subjects.etcd import kubernetes as etcd_pods
from subjects.runtimes.compose import variables
from subjects.runtimes.kubernetes.manifest import objects
from subjects.runtimes.kubernetes.options import KubernetesOptions, chosen_images
from subjects.runtimes.supervisor import spawn
from subjects.scrub import SCRUBBED, known_secrets, public_environment, scrub
from subjects.tikv import kubernetes as tikv_pods
from tools.errors import ToolError
from tools.events import Failed, Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.observed import Observed
from tools.observe.signal import Signal, Source
from tools.registry import Dispatcher
from tools.tool import Effect, Params, Result, Tool

WORD = "correcthorse"
"""A password that looks like a word."""

TEXTS = [
    f"http://root:{WORD}@127.0.0.1:2379/v3",
    f"Endpoint 'http://root:{WORD}/and@more@etcd-1:2379': a port is a number from 1 to 65535.",
    f"http://a:1@b/ then https://{WORD}@host/hook",
    f"https://host/hook?room=1&token={WORD}",
    f"https://host/hook?api_key={WORD}#end",
    f"https://hooks.slack.com/services/T0/B0/{WORD}",
    f"authorization: Basic {b64encode(f'root:{WORD}'.encode()).decode()}",
    f"sent Basic {b64encode(f'root:{WORD}'.encode()).decode()} to it",
    f"Authorization: {WORD}",
    f'"environment-variable":"ETCD_PASSWORD={WORD}"',
    f'password="several words, {WORD}"',
    json.dumps({"line": json.dumps({"password": f'a "quoted" {WORD}', "node": "n1"})}),
    f"etcdctl --user root:{WORD} member list",
    f"etcdctl --password {WORD} member list",
    "bearer Ab3dEfGh",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb290In0.{WORD}",
    f"sk-{WORD}{WORD}",
    f"password: {WORD}",
    f'"password": {WORD}\nuser: root',
    f'{{"passwd": {WORD}1}}',
    f"passphrase={{{WORD}",
]
SHOWN = (WORD, b64encode(f"root:{WORD}".encode()).decode(), "Ab3dEfGh")


@pytest.mark.parametrize("text", TEXTS)
def test_a_secret_is_taken_out_and_the_rest_stays(text: str) -> None:
    found = scrub(text)

    assert not [secret for secret in SHOWN if secret in found], found
    assert SCRUBBED in found
    assert scrub(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "Basic checks passed",
        "Basic authentication is off; bearer authentication, too.",
        "Bearer certificates expire",
        "For anything else set ANTHROPIC_API_KEY: then Claude answers.",
        "3 tokens, p99_ms: 12.5",
        "http://127.0.0.1:2379/health",
        "http://[::1]:2379,http://etcd-2:2379/health?serializable=true",
        "etcd-2 lost its leader; the key user123 is there",
        "mail ops@example.com about etcd-1:2379",
        "authentication is not enabled",
        '{"passwd": null, "password":false, "api_key": {"min": 8}, "private_key":[], "n": 1}',
        'the field "passwd": missing from the request',
        '"password": …',
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert scrub({"text": text, "input_tokens": 5}) == {"text": text, "input_tokens": 5}


def test_json_stays_json() -> None:
    text = json.dumps({"password": f"a {WORD}", "n": [1, f"token: Bearer {WORD}1"]})

    assert json.loads(scrub(text)) == {"password": SCRUBBED, "n": [1, f"token: Bearer {SCRUBBED}"]}


@pytest.mark.parametrize("view", ["text", "stream-json", "json"])
async def test_no_view_shows_one(view: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    made = PlainView(out, err) if view == "text" else JsonView(out, err, only_result=view == "json")
    for text in TEXTS:
        made.show(Failed(text))
        made.show(Notice(text))
    await made.aclose()

    shown = out.getvalue() + err.getvalue()
    assert SCRUBBED in shown
    assert not [secret for secret in SHOWN if secret in shown]


class Nothing(Params):
    """Parameters of a tool that takes none."""


@pytest.mark.parametrize("way", ["data", "name", "pasted", "summary", "next", "error"])
async def test_no_tool_result_has_one(way: str) -> None:
    text = f"Authorization: Bearer {WORD}123"

    async def run(_params: object, _observed: Observed) -> Result:
        if way == "error":
            raise ToolError(text, text)
        return {
            "data": Result({"deep": [text]}),
            "name": Result({"deep": {"password": f"{WORD}123"}}),
            "pasted": Result({}, pasted=text),
            "summary": Result({}, summary=text),
            "next": Result({}, next=text),
        }[way]

    tool = Tool("look", Nothing, Effect.READ, run, Path())
    observed = Observed(emit=lambda _event: None, ledger=Ledger(), incidents=cast(Any, None))

    outcome = await Dispatcher(observed, {"look": tool}).run("1", "look", {})

    kept = observed.ledger.get(outcome.evidence or "")
    assert kept is not None
    told = json.dumps([outcome.text, outcome.summary, dict(outcome.data), kept.text])
    assert SCRUBBED in told
    assert f"{WORD}123" not in told


def test_no_incident_has_one(tmp_path: Path) -> None:
    with closing(IncidentStore(tmp_path / "operator.db")) as store:
        incident = store.open(cluster="c", text=f"password={WORD}", nodes=["n1"])
        store.add(incident, Signal(Source.LOG, "log", "n1", f"ETCD_PASSWORD={WORD}"))
        cited = {"E1": {"password": WORD, "text": f"password={WORD}"}}
        store.keep_diagnosis(incident, {"kind": "crash", "root_cause": f"http://root:{WORD}@n1/"}, cited)
        store.heal(incident, f"--password {WORD}")
        found = store.get(incident)

    assert WORD not in repr(found)
    assert WORD not in b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")


@pytest.mark.parametrize(
    "url", [f"hooks.example/{WORD}", f"ftp://u:{WORD}@h/", f"http://h:99999/{WORD}", "http://["]
)
def test_an_address_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(BadSetup) as raised:
        receiver_host("--webhook", url)

    assert WORD not in str(raised.value)


def test_an_endpoint_with_a_password_is_refused_without_it() -> None:
    with pytest.raises(BadSetup) as raised:
        parse_endpoint(f"http://root:{WORD}@n1:2379")

    assert WORD not in scrub(str(raised.value))
    assert "ETCD_PASSWORD" in str(raised.value)


def test_every_value_of_the_environment_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCDCTL_USER", "root:odd one")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway: another odd one\nX-Other: y")
    known_secrets.cache_clear()

    assert scrub("odd one? another odd one") == f"{SCRUBBED}? {SCRUBBED}"


async def test_a_database_gets_neither_keys_nor_settings_that_are_not_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd writes variables that it does not know into its log, and ends over those that it does."""
    for name in ("ETCD_PASSWORD", "ETCD_NAME", "ANTHROPIC_API_KEY", "my_token", "DATABASE_URL", "GITHUB_PAT"):
        monkeypatch.setenv(name, WORD)
    monkeypatch.setenv("GOMAXPROCS", "3")

    await spawn(["env"], tmp_path, env=public_environment())
    while not (tmp_path / "exit").exists():
        pass

    text = (tmp_path / "log").read_text()
    assert WORD not in text
    assert "GOMAXPROCS=3" in text


@pytest.mark.parametrize("plan", [etcd_pods, tikv_pods])
def test_no_manifest_has_anything_of_the_persons_environment(
    plan: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan.databases(chosen_images(KubernetesOptions(), plan.IMAGES))
    before = objects(made, storage=True, cut=True)
    for name in ("ETCD_PASSWORD", "ANTHROPIC_API_KEY", "POD_NAME", "NAMESPACE"):
        monkeypatch.setenv(name, WORD)

    assert objects(made, storage=True, cut=True) == before
    assert WORD not in json.dumps(chosen_images(KubernetesOptions(), plan.IMAGES))


@pytest.mark.parametrize("file", sorted(Path("subjects").glob("*/docker-compose.yaml")), ids=str)
def test_a_compose_file_asks_for_images_ports_and_a_subnet_and_hands_nothing_on(file: Path) -> None:
    odd = [name for name in variables(file) if not re.search(r"_(IMAGE|PLATFORM|PORT|FILE|SUBNET)$", name)]
    services = yaml.safe_load(file.read_text())["services"]
    given = [service.get("environment") or {} for service in services.values()]

    assert odd == []
    assert not [name for service in services.values() for name in service if name in {"env_file", "secrets"}]
    assert all(isinstance(each, dict) and None not in each.values() for each in given)
