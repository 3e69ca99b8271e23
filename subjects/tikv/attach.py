"""A TiKV cluster that somebody else runs, given by the endpoints of its PDs."""

import asyncio
import time
from collections.abc import Sequence

from subjects.access import Access
from subjects.base import Cluster
from subjects.endpoints import host_and_port, parse_endpoint
from subjects.errors import Unreachable, Unsupported
from subjects.runtimes.endpoints import EndpointNodes
from subjects.spoken import spoken_at
from subjects.tikv.pd import Group, PdClient
from subjects.tikv.subject import PD_TIMEOUT_S, TikvSubject

FIRST_ANSWER_S = 6.0
"""How long PDs may take to answer for the first time: in between snapshots they are given less."""


async def attach(endpoints: Sequence[str], access: Access) -> Cluster:
    """Return the cluster, read-only. Unreachable, naming the endpoints, when no PD answers at any.

    BadSetup for an endpoint that is no address; Unsupported with certificates, and where PDs ask for them:
    they are asked without.
    """
    require_plain(access)
    pd = PdClient([parse_endpoint(each) for each in endpoints])
    subject = TikvSubject((), EndpointNodes(), pd)
    try:
        await refuse_tls(pd)
        group = await _first_answer(pd)
        await subject.observe()
    except Unreachable as error:
        await pd.aclose()
        raise Unreachable(f"No PD answers at {', '.join(endpoints)}: {error}") from error
    except BaseException:
        await pd.aclose()
        raise
    return Cluster(f"tikv-{group.cluster_id or 'attached'}", subject, EndpointNodes())


def require_plain(access: Access) -> None:
    """Raise Unsupported where certificates were given: PDs and stores are asked without."""
    if access.cacert or access.cert:
        raise Unsupported("TiKV is watched without certificates only: leave --cacert, --cert and --key out.")


async def refuse_tls(pd: PdClient) -> None:
    """Raise Unsupported where PDs speak TLS: they would look down. Those that don't answer are let be."""
    try:
        await pd.group(PD_TIMEOUT_S)
    except Unreachable as error:
        said = await asyncio.gather(*(spoken_at(*host_and_port(url), None) for url in pd.urls))
        if "tls" in said or "to an HTTPS server" in str(error):  # the latter are Go's own words (net/http)
            raise Unsupported(
                "Its PDs speak TLS, and TiKV is watched without certificates only: nothing can be told of it."
            ) from error


async def _first_answer(pd: PdClient) -> Group:
    deadline = time.monotonic() + FIRST_ANSWER_S
    while True:
        try:
            return await pd.group(PD_TIMEOUT_S)
        except Unreachable:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)
