"""The connector `kubernetes` against an API server over TLS: a token, and contexts of kubeconfig files."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
import yaml

from core.builtin.connectors.kubeconfig import read_context, written
from core.builtin.connectors.kubernetes import KubernetesConnector
from core.builtin.connectors.types import KUBERNETES
from core.errors import AuthenticationError, ConfigurationError, InfrastructureError, NotFoundError
from core.testing.suites.service_connector import ServiceConnectorSuite

if TYPE_CHECKING:
    from pathlib import Path

    from core.ports.service_connector import ConnectorType
    from core.testing.engines.cluster import ApiServer


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def kubeconfig(kubernetes_api: ApiServer, **user: str) -> dict:
    return {
        "apiVersion": "v1",
        "current-context": "mine",
        "contexts": [
            {"name": "mine", "context": {"cluster": "prod", "user": "me", "namespace": "runs"}},
            {"name": "other", "context": {"cluster": "gone", "user": "me"}},
        ],
        "clusters": [
            {
                "name": "prod",
                "cluster": {
                    "server": kubernetes_api.url,
                    "certificate-authority-data": coded(kubernetes_api.authority),
                },
            }
        ],
        "users": [
            {
                "name": "me",
                "user": user
                or {
                    "client-certificate-data": coded(kubernetes_api.certificate),
                    "client-key-data": coded(kubernetes_api.key),
                },
            }
        ],
    }


class TestKubernetes(ServiceConnectorSuite):
    sdk = ("kubernetes", "urllib3", "yaml")

    @pytest.fixture
    def kind(self) -> ConnectorType:
        return KUBERNETES

    @pytest.fixture(autouse=True)
    def own(self, kubernetes_api: ApiServer, tmp_path: Path) -> None:
        self.cluster = kubernetes_api
        self.file = tmp_path / "kubeconfig"
        self.file.write_text(yaml.safe_dump(kubeconfig(kubernetes_api)))

    def right(self):
        token = {
            "server": self.cluster.url,
            "token": self.cluster.token,
            "certificate_authority": self.cluster.authority,
            "cluster_name": "prod",
        }
        return {"token": token, "kubeconfig": {"kubeconfig": self.file.read_text()}}

    def wrong(self):
        config = json.dumps(kubeconfig(self.cluster, token="wrong-token"))  # noqa: S106 - it opens nothing
        return {"token": {**self.right()["token"], "token": "wrong-token"}, "kubeconfig": {"kubeconfig": config}}

    def reached(self):
        return {"kubernetes-cluster": "prod"}

    def missing(self):
        return {"kubernetes-cluster": "staging"}

    def environment(self):
        return {"KUBECONFIG": f"/nonexistent:{self.file}"}


def by_token(kubernetes_api: ApiServer, **settings: str) -> KubernetesConnector:
    base = {
        "server": kubernetes_api.url,
        "token": kubernetes_api.token,
        "certificate_authority": kubernetes_api.authority,
    }
    return KubernetesConnector("token", {**base, **settings})


def test_it_says_who_it_is(kubernetes_api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        by_token(kubernetes_api).identity() == f"system:serviceaccount:default:core at {kubernetes_api.host} (v1.33.0)"
    )
    config = KubernetesConnector("kubeconfig", {"kubeconfig": json.dumps(kubeconfig(kubernetes_api))})
    assert config.identity() == "admin at prod (v1.33.0)"
    monkeypatch.setattr(kubernetes_api, "reviews", False)
    assert by_token(kubernetes_api).identity().startswith("somebody at ")


def test_what_it_gives(kubernetes_api: ApiServer) -> None:
    given = by_token(kubernetes_api, namespace="runs").credentials("kubernetes-cluster")
    assert given.values == {
        "server": kubernetes_api.url,
        "token": kubernetes_api.token,
        "certificate_authority": kubernetes_api.authority,
        "namespace": "runs",
    }
    assert given.resource_id == kubernetes_api.host
    config = KubernetesConnector("kubeconfig", {"kubeconfig": json.dumps(kubeconfig(kubernetes_api))})
    values = config.credentials("kubernetes-cluster", "prod").values
    assert sorted(values) == ["certificate_authority", "client_certificate", "client_key", "namespace", "server"]


def test_certificates_count_unless_a_person_says_they_do_not(kubernetes_api: ApiServer) -> None:
    with pytest.raises(InfrastructureError, match="certificate that is not trusted"):
        by_token(kubernetes_api, certificate_authority="").identity()
    assert by_token(kubernetes_api, certificate_authority="", insecure="true").identity()
    with pytest.raises(ConfigurationError, match="no PEM"):
        by_token(kubernetes_api, certificate_authority="nonsense").identity()


def test_trouble_is_told_apart(kubernetes_api: ApiServer) -> None:
    with pytest.raises(AuthenticationError, match="does not accept"):
        by_token(kubernetes_api, token="wrong-token").identity()  # noqa: S106 - it opens nothing
    with pytest.raises(InfrastructureError, match="can't be reached"):
        by_token(kubernetes_api, server="https://127.0.0.1:1").identity()
    with pytest.raises(ConfigurationError, match="no URL"):
        by_token(kubernetes_api, server="somewhere").identity()


def test_auto_configure_takes_what_the_file_names_with_it(kubernetes_api: ApiServer, tmp_path: Path) -> None:
    config = kubeconfig(kubernetes_api, token=kubernetes_api.token)
    (tmp_path / "ca.pem").write_text(kubernetes_api.authority)
    config["clusters"][0]["cluster"] = {"server": kubernetes_api.url, "certificate-authority": "ca.pem"}
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(json.dumps(config).replace("ca.pem", "../ca.pem"))
    method, settings = KubernetesConnector.configured({"HOME": str(tmp_path)})
    assert KubernetesConnector(method, settings).identity().startswith("system:serviceaccount")
    assert "gone" not in settings["kubeconfig"], "only the context that is used"
    assert read_context(written(read_context(settings["kubeconfig"]))) == read_context(settings["kubeconfig"])


@pytest.mark.parametrize(
    ("change", "context", "error", "said"),
    [
        ({"exec": {"command": "aws"}}, "", ConfigurationError, "program 'aws', which core does not run"),
        ({"client-certificate": "/a.pem", "client-key": "/b.pem"}, "", ConfigurationError, "names a file"),
        ({"client-certificate-data": "%%%"}, "", ConfigurationError, "no base64"),
        ({"token": "t"}, "mien", NotFoundError, "did you mean 'mine'"),
        ({"token": "t"}, "other", ConfigurationError, "no cluster 'gone'"),
    ],
)
def test_what_cannot_be_used_is_named(
    kubernetes_api: ApiServer, change: dict, context: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_context(json.dumps(kubeconfig(kubernetes_api, **change)), context)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "a: 1", "x" * (2 << 20), "a: &a [1]\n" + "b: *a\n" * 60])
def test_what_is_no_kubeconfig(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_context(text)
