"""How we get in: TLS, users and tokens, gateways that are off, addresses that are none."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from subjects.runtimes.ports import free_ports
from tests.field.case import Field, Say, case
from tests.field.members import HOST
from tests.field.papers import Authority, Signed

CALM = Say(kinds=(), states=("healthy",))


def tls(signed: Signed, *more: str) -> list[str]:
    """Return the options of a member that shows `signed` to its clients."""
    return [f"--cert-file={signed.cert}", f"--key-file={signed.key}", *more]


@case(CALM, "etcd-io/etcd#4973", quick=True)
def system_authorities(field: Field) -> None:
    """The members' authority is in the system's store, and no --cacert is given: nothing is wrong."""
    authority = Authority(field.folder)
    options: dict[str, Any] = {"scheme": "https", "args": tls(authority.sign("server"))}
    environ = {"SSL_CERT_FILE": str(authority.cert)}
    with (
        field.members(3, **options, client_context=authority.context()) as etcd,
        field.watching(etcd, settle_s=8, environ=environ),
    ):
        field.happens()


@case(Say(says="authority", states=(), refuses=1, never="refuses connections|is down"), "etcd-io/etcd#10499")
def unknown_authority(field: Field) -> None:
    """No --cacert, and the system knows no such authority: our way of looking is at fault, and told."""
    authority = Authority(field.folder)
    options: dict[str, Any] = {"scheme": "https", "args": tls(authority.sign("server"))}
    with field.members(1, **options, client_context=authority.context()) as etcd, field.watching(etcd):
        pass


@case(Say(says="client certificate", states=(), refuses=1), "etcd-io/etcd#9653")
def client_certificate_wanted(field: Field) -> None:
    """The members want a client certificate and we have none."""
    authority = Authority(field.folder)
    ours = authority.sign("client", common_name="root")
    args = tls(authority.sign("server"), "--client-cert-auth", f"--trusted-ca-file={authority.cert}")
    with (
        field.members(1, scheme="https", args=args, client_context=authority.context(ours)) as etcd,
        field.watching(etcd, options=["--cacert", str(authority.cert)]),
    ):
        pass


@case(
    Say(
        kinds=("restart",),
        within_s=5.0,
        confidence=("medium", "low"),
        states=("healthy",),
        says="recovered",
        never="client certificate|expired|cannot be looked at",
    ),
    "etcd-io/jetcd#988",
    "etcd-io/etcd#7576",
)
def client_certificate_rotates(field: Field) -> None:
    """Our client certificate ends and is renewed on disk; a member restarts, and we get in again."""
    authority = Authority(field.folder)
    lasts_s = 20
    ends = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + lasts_s))
    ours = authority.sign("client", common_name="root", until=ends)
    args = tls(authority.sign("server"), "--client-cert-auth", f"--trusted-ca-file={authority.cert}")
    options = ["--cacert", str(authority.cert), "--cert", str(ours.cert), "--key", str(ours.key)]
    truth = authority.context(authority.sign("beside", common_name="root"))
    with (
        field.members(3, scheme="https", args=args, client_context=truth) as etcd,
        field.watching(etcd, settle_s=10, options=options) as watch,
    ):
        fresh = authority.sign("fresh", common_name="root")
        shutil.copy(fresh.key, ours.key)
        time.sleep(0.5)
        shutil.copy(fresh.cert, ours.cert)
        time.sleep(lasts_s)
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end(15))
        etcd[n].start()
        etcd.wait(lambda: etcd.healthy(n), "it is back", 20)
        watch.until(lambda line: line.get("kind") == "recovered", 15, field.at)


@case(
    Say(
        kinds=("unknown", "certificate_expired", "certificate"),
        unknown=True,
        within_s=8.0,
        node=False,
        states=("degraded", "unknown"),
        says="expired",
        never="quorum is lost|is down|process",
    ),
    "etcd-io/etcd#15740",
)
def server_certificate_expires(field: Field) -> None:
    """The members' certificates are replaced by ones that have ended; new connections fail to verify."""
    authority = Authority(field.folder)
    shown = authority.sign("server")
    ended = authority.sign("ended", until="20240101000000Z")
    with (
        field.members(3, scheme="https", args=tls(shown), client_context=authority.context()) as etcd,
        field.watching(etcd, options=["--cacert", str(authority.cert)], settle_s=15),
    ):
        shutil.copy(ended.key, shown.key)
        shutil.copy(ended.cert, shown.cert)
        field.happens()
        time.sleep(1)
        field.truth("a new client gets no answer", holds=not etcd.read(0))


@case(CALM)
def mixed_schemes(field: Field) -> None:
    """One member speaks https, two http."""
    authority = Authority(field.folder)
    (port,) = free_ports(1)
    secured = [
        f"--listen-client-urls=https://{HOST}:{port}",
        f"--advertise-client-urls=https://{HOST}:{port}",
    ]
    with field.members(3) as etcd:
        del secured
        member = etcd[2]
        member.end(15)
        shown = authority.sign("server")
        client = member.client
        member.argv = [arg.replace(client, client.replace("http:", "https:")) for arg in member.argv] + tls(
            shown
        )
        member.start()
        time.sleep(2)
        urls = f"{etcd[0].client},{etcd[1].client},{client.replace('http:', 'https:')}"
        with field.watching(urls, options=["--cacert", str(authority.cert)], settle_s=8):
            field.happens()


@case(Say(kinds=("crash",), within_s=2.0, states=("degraded",)))
def killed_over_tls(field: Field) -> None:
    """A member is killed that speaks TLS with a client certificate."""
    authority = Authority(field.folder)
    ours = authority.sign("client", common_name="root")
    args = tls(authority.sign("server"), "--client-cert-auth", f"--trusted-ca-file={authority.cert}")
    options = ["--cacert", str(authority.cert), "--cert", str(ours.cert), "--key", str(ours.key)]
    with (
        field.members(3, scheme="https", args=args, client_context=authority.context(ours)) as etcd,
        field.watching(etcd, options=options),
    ):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())


def enable_auth(etcd: Any) -> None:
    """Make a user root, and have the cluster ask for users."""
    etcd.post(0, "auth/user/add", {"name": "root", "password": "secret"})
    etcd.post(0, "auth/role/add", {"name": "root"})
    etcd.post(0, "auth/user/grant", {"user": "root", "role": "root"})
    etcd.post(0, "auth/enable")
    etcd.auth = "root:secret"


ROOT = {"ETCD_USERNAME": "root", "ETCD_PASSWORD": "secret"}


@case(CALM, "etcd-io/etcd#13144", "etcd-io/etcd#9629")
def tokens_expire(field: Field) -> None:
    """Users are asked for, and a token lasts two seconds."""
    with field.members(3, args=["--auth-token-ttl=2"]) as etcd:
        enable_auth(etcd)
        with field.watching(etcd, environ=ROOT, settle_s=14):
            field.happens()


@case(
    Say(kinds=(), states=("healthy", "unknown"), never="is down|quorum is lost|refuses connections"),
    "etcd-io/etcd#13144",
    "coreos/etcd-operator#1051",
)
def auth_without_a_user(field: Field) -> None:
    """Users are asked for, and we have none: who refuses us is not down."""
    with field.members(3) as etcd:
        enable_auth(etcd)
        with field.watching(etcd, settle_s=8):
            field.happens()


@case(Say(says="user 'root'", states=(), refuses=1, never="is down|quorum is lost"), "etcd-io/etcd#6611")
def wrong_password(field: Field) -> None:
    """User and password don't do: told as ours."""
    with field.members(1) as etcd:
        enable_auth(etcd)
        with field.watching(etcd, environ={**ROOT, "ETCD_PASSWORD": "wrong"}):
            pass


@case(
    Say(
        kinds=(), states=("healthy", "unknown"), never="is down|quorum is lost|refuses connections|drops its"
    ),
    "etcd-io/etcd#13144",
)
def auth_enabled_under_it(field: Field) -> None:
    """Users are asked for from now on, in mid-watch."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=8):
        field.happens()
        enable_auth(etcd)


@case(
    Say(
        kinds=(),
        states=("unknown", "healthy"),
        says="gRPC only",
        never="is down|quorum is lost|refuses connections|drops its",
    ),
    "etcd-io/etcd#12377",
)
def grpc_only_addresses(field: Field) -> None:
    """The members advertise addresses that speak gRPC only; one HTTP address was given (3.6)."""
    ports = free_ports(3)
    http = {n: [f"--listen-client-http-urls=http://{HOST}:{ports[n]}"] for n in range(3)}
    etcd = field.members(3, version="3.6", each=http)
    _started_apart(field, etcd, [f"http://{HOST}:{port}" for port in ports])


def _started_apart(field: Field, etcd: Any, urls: list[str]) -> None:
    """Watch members whose client ports we can't ask ourselves either: through the first of `urls`."""
    for member in etcd.members:
        member.start()
    try:
        clients = [member.client for member in etcd.members]
        for member, url in zip(etcd.members, urls, strict=True):
            member.client = url
        etcd.wait(lambda: all(etcd.healthy(n) for n in range(len(urls))), "all healthy")
        assert clients != urls
        with field.watching(urls[0], settle_s=8):
            field.happens()
    finally:
        etcd.__exit__()


@case(Say(says="gRPC only.*listen-client-http-urls", states=(), refuses=1), "etcd-io/etcd#17969")
def grpc_only_endpoint(field: Field) -> None:
    """The one endpoint that was given speaks gRPC only: said so, and what to give instead."""
    (port,) = free_ports(1)
    with field.members(1, version="3.6") as etcd:
        etcd[0].end(15)
        etcd[0].argv.append(f"--listen-client-http-urls=http://{HOST}:{port}")
        etcd[0].start()
        given, etcd[0].client = etcd[0].client, f"http://{HOST}:{port}"
        etcd.wait(lambda: etcd.healthy(0), "it is healthy")
        with field.watching(given):
            pass


@case(
    Say(kinds=("crash", "unknown"), within_s=4.0, states=("degraded", "unknown"), never="quorum is lost"),
    "etcd-io/etcd#12377",
)
def gateway_off_on_one(field: Field) -> None:
    """One member of three has its JSON gateway off, and another one is killed."""
    with field.members(3) as etcd:
        n, dead = 1, 2
        etcd[n].end(15)
        etcd[n].argv.append("--enable-grpc-gateway=false")
        etcd[n].start()
        time.sleep(3)
        with field.watching(f"{etcd[0].client},{etcd[2].client}"):
            time.sleep(2)
            field.happens(etcd[dead].name, at=etcd[dead].end())
            etcd.wait(lambda: etcd.put(0), "puts are taken", 10)


@case(Say(says="gateway", states=(), refuses=1), "etcd-io/etcd#12377")
def gateway_off_everywhere(field: Field) -> None:
    """All members have their JSON gateways off: they can't be listed over HTTP, and that is said."""
    with field.members(1) as etcd:
        etcd[0].end(15)
        etcd[0].argv.append("--enable-grpc-gateway=false")
        etcd[0].start()
        time.sleep(3)
        with field.watching(etcd):
            pass


@case(
    Say(kinds=("crash",), within_s=2.0, states=("degraded",), says="no address"),
    "k3s-io/k3s#4213",
)
def impossible_advertised_address(field: Field) -> None:
    """A member advertises port 99999: said so; the others are seen, and the death of one of them."""
    with field.members(3, advertise={1: f"http://{HOST}:99999"}) as etcd:
        given = f"{etcd[0].client},{etcd[2].client}"
        with field.watching(given):
            time.sleep(2)
            field.happens("m2", at=etcd[2].end())


@case(CALM, "siderolabs/talos#12646")
def advertised_names_unknown_here(field: Field) -> None:
    """The members advertise names that don't resolve here; all their real addresses were given."""
    hidden = {n: f"http://etcd-{n}.invalid:2379" for n in range(3)}
    with field.members(3, advertise=hidden) as etcd, field.watching(etcd, settle_s=8):
        field.happens()


@case(
    Say(kinds=(), states=("healthy", "unknown"), says="resolve", never="is down|refuses|quorum"),
    "siderolabs/talos#12646",
)
def one_way_in(field: Field) -> None:
    """As before, but one address was given: two members can't be looked at, which is no fault of theirs."""
    hidden = {n: f"http://etcd-{n}.invalid:2379" for n in range(3)}
    with field.members(3, advertise=hidden) as etcd, field.watching(etcd[0].client, settle_s=8):
        field.happens()


@case(Say(says="port", states=(), refuses=2), quick=True)
def malformed_endpoint(field: Field) -> None:
    """An endpoint whose port is none: a line, and exit 2."""
    with field.watching("http://127.0.0.1:99999"):
        pass


@case(Say(says="brackets", states=(), refuses=2), quick=True)
def bare_ipv6_endpoint(field: Field) -> None:
    """An IPv6 address without brackets."""
    with field.watching("http://::1:2379"):
        pass


@case(Say(states=(), refuses=1, says="http|etcd|HTTP", never="Traceback"))
def no_etcd_there(field: Field) -> None:
    """Something else listens at the endpoint: a web server."""
    import sys

    (port,) = free_ports(1)
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "http.server",
            str(port),
            "--bind",
            HOST,
            "--directory",
            str(Path(os.devnull).parent),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        with field.watching(f"http://{HOST}:{port}"):
            pass
    finally:
        server.kill()
        server.wait()


@case(
    Say(
        kinds=("certificate_expired", "certificate"),
        within_s=10.0,
        states=("degraded",),
        says="expired",
        never="is down|quorum is lost",
    ),
    "etcd-io/etcd#15740",
)
def certificate_of_one_expires(field: Field) -> None:
    """One member's certificate has ended, those of the others have not."""
    authority = Authority(field.folder)
    shown = [authority.sign(f"server{n}") for n in range(3)]
    ended = authority.sign("ended", until="20240101000000Z")
    each = {n: tls(signed) for n, signed in enumerate(shown)}
    with (
        field.members(3, scheme="https", each=each, client_context=authority.context()) as etcd,
        field.watching(etcd, options=["--cacert", str(authority.cert)], settle_s=15),
    ):
        shutil.copy(ended.key, shown[1].key)
        shutil.copy(ended.cert, shown[1].cert)
        field.happens("m1")


@case(
    Say(
        kinds=(),
        states=("healthy", "unknown"),
        says="refuses our client certificate|our client certificate is refused",
        never="accepts few|does not speak TLS|drops its|partition",
    ),
    "etcd-io/etcd#7576",
)
def client_certificate_ends(field: Field) -> None:
    """Our client certificate ends while we watch, and nobody renews it: no member's fault."""
    authority = Authority(field.folder)
    ends = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 20))
    ours = authority.sign("client", common_name="root", until=ends)
    args = tls(authority.sign("server"), "--client-cert-auth", f"--trusted-ca-file={authority.cert}")
    options = ["--cacert", str(authority.cert), "--cert", str(ours.cert), "--key", str(ours.key)]
    truth = authority.context(authority.sign("beside", common_name="root"))
    with (
        field.members(3, scheme="https", args=args, client_context=truth) as etcd,
        field.watching(etcd, settle_s=32, options=options),
    ):
        field.happens()
        field.truth("others get in", holds=etcd.put(0))


@case(CALM)
def a_user_that_nobody_asks_for(field: Field) -> None:
    """User and password are in the environment, and the cluster has no users: etcdctl goes on, too."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=6, environ=ROOT):
        field.happens()


@case(CALM, "etcd-io/etcd#13144")
def auth_enabled_with_a_user(field: Field) -> None:
    """Users are asked for in mid-watch, and ours was given from the beginning."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=8, environ=ROOT):
        time.sleep(2)
        field.happens()
        enable_auth(etcd)


@case(Say(says="peer address.*advertise-client-urls", states=(), refuses=1, never="gateway"))
def peer_address_given(field: Field) -> None:
    """The endpoint is the port at which members talk to each other."""
    with field.members(1) as etcd, field.watching(etcd[0].peer):
        pass


@case(Say(says="metrics address", states=(), refuses=1, never="gateway off"))
def metrics_address_given(field: Field) -> None:
    """The endpoint is a member's metrics port."""
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    with field.members(1, args=[f"--listen-metrics-urls={url}"]), field.watching(url):
        pass


@case(Say(says="has a passphrase", states=(), refuses=1, never="pass phrase:"), quick=True)
def key_with_a_passphrase(field: Field) -> None:
    """Our key has a passphrase: nobody is asked for it at a terminal."""
    authority = Authority(field.folder)
    ours, locked = authority.sign("client"), field.folder / "locked.key"
    argv = ["openssl", "ec", "-in", ours.key, "-aes256", "-passout", "pass:secret", "-out", locked]
    subprocess.run([str(each) for each in argv], check=True, capture_output=True)
    options = ["--cacert", str(authority.cert), "--cert", str(ours.cert), "--key", str(locked)]
    with field.watching("https://127.0.0.1:1", options=options):
        pass
