"""The connector `docker` against a real registry with a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.builtin.connectors.docker import DockerConnector
from core.builtin.connectors.types import DOCKER
from core.errors import AuthenticationError, InfrastructureError, NotFoundError
from core.testing.suites.service_connector import ServiceConnectorSuite

if TYPE_CHECKING:
    from core.ports.service_connector import ConnectorType
    from core.testing.engines.registry import RegistryServer


class TestDocker(ServiceConnectorSuite):
    sdk = ("docker", "urllib3", "requests")

    @pytest.fixture
    def kind(self) -> ConnectorType:
        return DOCKER

    @pytest.fixture(autouse=True)
    def registry(self, oci_registry_basic: RegistryServer) -> None:
        self.server = oci_registry_basic

    def right(self):
        return {
            "password": {"server": self.server.host, "username": self.server.username, "password": self.server.password}
        }

    def wrong(self):
        return {"password": {**self.right()["password"], "password": "wrong-password"}}

    def reached(self):
        return {"docker-registry": self.server.host}

    def missing(self):
        return {"docker-registry": "another.example:5000"}


def test_the_login_says_where_it_is_for(oci_registry_basic: RegistryServer) -> None:
    server = oci_registry_basic
    connector = DockerConnector(
        "password", {"server": f"http://{server.host}/", "username": server.username, "password": server.password}
    )
    assert connector.identity() == f"{server.username} at {server.host}"
    given = connector.credentials("docker-registry", f"{server.host}/team/app")
    assert given.values == {"server": server.host, "username": server.username, "password": server.password}
    assert given.expires_at is None


@pytest.mark.parametrize(
    "name", ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"]
)
def test_every_name_of_the_hub(name: str) -> None:
    assert DockerConnector("password", {"server": name}).server == "docker.io"


def test_trouble_is_told_apart(oci_registry_basic: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.oci.http.FIRST", 0.001)
    login = {"username": "somebody", "password": "wrong-password"}
    with pytest.raises(AuthenticationError, match=r"does not accept|can't log in") as caught:
        DockerConnector("password", {"server": oci_registry_basic.host, **login}).identity()
    assert "wrong-password" not in str(caught.value)
    assert "--password=@FILE" in caught.value.hint
    with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:1"):
        DockerConnector("password", {"server": "127.0.0.1:1", **login}).identity()
    with pytest.raises(NotFoundError, match=r"elsewhere\.example"):
        DockerConnector("password", {"server": "here.example", **login}).credentials(
            "docker-registry", "elsewhere.example"
        )
