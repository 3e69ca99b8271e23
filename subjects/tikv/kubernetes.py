"""PD and TiKV as a cluster of operator's own on Kubernetes: what its pods are made of."""

from collections.abc import Mapping
from importlib.resources import files

from subjects.base import LoadTarget
from subjects.errors import Unsupported
from subjects.runtimes.kubernetes.attached import KubernetesNodes
from subjects.runtimes.kubernetes.manifest import DATA, Database
from subjects.runtimes.kubernetes.options import HELPER
from subjects.runtimes.kubernetes.session import SCRIPTS
from subjects.tikv.go_ycsb import LOCAL, load_target
from subjects.tikv.loads import Loads, operator_load
from subjects.tikv.members import DATA_PORT, PD_PORT, STATUS_PORT
from subjects.tikv.pd import PdClient
from subjects.tikv.pods import Place, PodsOfTikv
from subjects.tikv.process import CAPACITY

__all__ = ["IMAGES", "databases", "make_subject"]

MEMBERS = 3
"""PDs, and stores."""
PEER_PORT = 2380
CONFIG = "tikv.toml"
IMAGES: Mapping[str, tuple[str, str]] = {
    "pd": ("PD_IMAGE", "docker.io/pingcap/pd:v8.5.8"),
    "tikv": ("TIKV_IMAGE", "docker.io/pingcap/tikv:v8.5.8"),
    **HELPER,
}
"""What each image is for: the variable that names another, and the default."""


class OwnPodsOfTikv(PodsOfTikv):
    """A cluster of ours: what its pods are called is known before they are there, and load is put on it."""

    def load_target(self, wanted: str = "auto") -> LoadTarget:
        """operator's generator: PD tells it the names that stores have in the cluster's network."""
        if wanted == "go-ycsb":
            raise Unsupported("On Kubernetes TiKV's load is operator's own: leave --load out.")
        namespace = self._pods.namespace
        reached_at = {
            f"{_host(each.name, 'tikv', namespace)}:{DATA_PORT}": each.address
            for each in self._members
            if each.data
        }
        operator = operator_load(self._pd.urls, reached_at)
        return Loads(operator, load_target((), (), LOCAL)).choose("operator")


def databases(chosen: Mapping[str, str]) -> tuple[Database, ...]:
    """Return a PD's container, and a store's."""
    pds = [f"pd-{number}" for number in range(MEMBERS)]
    initial = ",".join(f"{name}={_url(name, PEER_PORT)}" for name in pds)
    pd = Database(
        name="pd",
        image=chosen["pd"],
        helper=chosen["helper"],
        replicas=MEMBERS,
        argv=(
            "/pd-server",
            "--name=$(POD_NAME)",
            f"--data-dir={DATA}/pd",
            f"--client-urls=http://0.0.0.0:{PD_PORT}",
            f"--advertise-client-urls={_url('$(POD_NAME)', PD_PORT)}",
            f"--peer-urls=http://0.0.0.0:{PEER_PORT}",
            f"--advertise-peer-urls={_url('$(POD_NAME)', PEER_PORT)}",
            f"--initial-cluster={initial}",
        ),
        ports={"client": PD_PORT, "peer": PEER_PORT},
        ready=("/pd/api/v1/ping", PD_PORT),
        memory="512Mi",
    )
    address = _host("$(POD_NAME)", "tikv")
    endpoints = ",".join(f"{_host(name, 'pd')}:{PD_PORT}" for name in pds)
    store = Database(
        name="tikv",
        image=chosen["tikv"],
        helper=chosen["helper"],
        replicas=MEMBERS,
        argv=(
            "/tikv-server",
            f"--config={SCRIPTS}/{CONFIG}",
            f"--addr=0.0.0.0:{DATA_PORT}",
            f"--advertise-addr={address}:{DATA_PORT}",
            f"--status-addr=0.0.0.0:{STATUS_PORT}",
            f"--advertise-status-addr={address}:{STATUS_PORT}",
            f"--data-dir={DATA}/tikv",
            f"--capacity={CAPACITY}",
            f"--pd-endpoints={endpoints}",
        ),
        ports={"client": DATA_PORT, "status": STATUS_PORT},
        ready=("/status", STATUS_PORT),
        memory="2Gi",
        config={CONFIG: files("subjects.tikv").joinpath(CONFIG).read_text(encoding="utf-8")},
    )
    return pd, store


async def make_subject(nodes: KubernetesNodes) -> OwnPodsOfTikv:
    """Return the subject for these pods, whether they are there yet or not."""
    places = {f"pd-{number}": Place("pd", PD_PORT) for number in range(MEMBERS)}
    places |= {f"tikv-{number}": Place("store", STATUS_PORT, DATA_PORT) for number in range(MEMBERS)}
    subject = OwnPodsOfTikv(nodes, PdClient([]), places)
    await subject.refresh_members()
    return subject


def _host(pod: str, service: str, namespace: str = "$(NAMESPACE)") -> str:
    return f"{pod}.{service}.{namespace}.svc"


def _url(pod: str, port: int) -> str:
    return f"http://{_host(pod, 'pd')}:{port}"
