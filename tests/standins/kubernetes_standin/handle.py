"""What tests hold of a stand-in cluster."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tests.standins.kubernetes_standin.__main__ import CONTEXT, kubeconfig

ROOT = Path(__file__).parents[3]


class StandinCluster:
    """One cluster in a folder; `with` starts it and leaves nothing behind."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`environment` is that of all its pods, too."""
        self._folder = folder
        self._options = options
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self.context = CONTEXT
        self.server = self._control = self.token = ""

    @property
    def kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    @property
    def log(self) -> str:
        return (self._folder / "standin.log").read_text()

    def __enter__(self) -> "StandinCluster":
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "standin.log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.standins.kubernetes_standin",
                    str(self._folder),
                    *self._options,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **self._environment},
            )
        assert self._process.stdout is not None
        told = self._process.stdout.readline()
        assert told, self.log
        said = json.loads(told)
        self.server, self._control, self.token = said["server"], said["control"], said["token"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def write_kubeconfig(self, path: Path, token: str, context: str = CONTEXT) -> Path:
        """Write a kubeconfig of another account, or of another name."""
        path.write_text(yaml.safe_dump(kubeconfig(self.server, token, context)))
        return path

    def call(self, method: str, path: str, body: object = None, content: str = "application/json") -> Any:
        """Ask the API server as its administrator, over plain HTTP; what it refuses is returned too."""
        return self._ask(method, f"{self.server}{path}", body, content)

    def act(self, act: str, **more: object) -> Any:
        """Do something to the cluster from outside."""
        return self._ask("POST", self._control, {"act": act, **more}, "application/json")

    def _ask(self, method: str, url: str, body: object, content: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content, "Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def pods(self, namespace: str) -> dict[str, Any]:
        """Return the pods of a namespace by name."""
        items = self.call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        return {each["metadata"]["name"]: each for each in items}

    def token_of(self, namespace: str, account: str, rules: list[dict[str, Any]]) -> str:
        """Return a token of a new service account that may do what the rules allow."""
        meta = {"name": account, "namespace": namespace}
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        core = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.call("POST", core, {"metadata": meta})
        self.call("POST", f"{rbac}/roles", {"metadata": meta, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
        subjects = [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
        self.call(
            "POST", f"{rbac}/rolebindings", {"metadata": meta, "roleRef": reference, "subjects": subjects}
        )
        made = self.call("POST", f"{core}/{account}/token", {"spec": {}})
        return str(made["status"]["token"])
