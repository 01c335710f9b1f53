"""The container registries that core knows by itself: the suite on real ones, and how they read their addresses."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from core.builtin.registries.oci import DockerHubRegistry, GitHubRegistry, GitLabRegistry, OciRegistry
from core.builtin.registries.settings import RegistrySettings
from core.testing.suites.container_registry import ContainerRegistrySuite

if TYPE_CHECKING:
    from pathlib import Path

    from core.testing.engines.registry import RegistryServer


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of what the person who runs this is logged in to: gives the folder of a new configuration."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def made(uri: str, **settings: object) -> OciRegistry:
    return OciRegistry(RegistrySettings(uri=uri, **settings))  # type: ignore[arg-type]


class TestOpen(ContainerRegistrySuite):
    sdk = ("docker", "pydantic", "boto3")

    @pytest.fixture
    def registry(self, oci_registry: RegistryServer) -> OciRegistry:
        return made(f"{oci_registry.host}/team")

    @pytest.fixture
    def away(self) -> OciRegistry:
        return made("127.0.0.1:9/team")


class TestBasic(ContainerRegistrySuite):
    @pytest.fixture
    def registry(self, oci_registry_basic: RegistryServer) -> OciRegistry:
        server = oci_registry_basic
        return made(server.host, username=server.username, password=SecretStr(server.password))

    @pytest.fixture
    def refused(self, oci_registry_basic: RegistryServer) -> OciRegistry:
        return made(oci_registry_basic.host, username=oci_registry_basic.username, password=SecretStr("not the one"))


class TestDockersOwnLogin(ContainerRegistrySuite):
    @pytest.fixture
    def registry(self, oci_registry_basic: RegistryServer, docker: Path) -> OciRegistry:
        server = oci_registry_basic
        login = base64.b64encode(f"{server.username}:{server.password}".encode()).decode()
        (docker / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": login}}}))
        return made(server.host)

    @pytest.fixture
    def refused(self, oci_registry_basic: RegistryServer) -> OciRegistry:
        return made(oci_registry_basic.host)  # nobody is logged in


@pytest.mark.parametrize(
    ("flavor", "uri", "whole"),
    [
        (DockerHubRegistry, "somebody", "docker.io/somebody"),
        (DockerHubRegistry, "docker.io/somebody", "docker.io/somebody"),
        (GitHubRegistry, "somebody/thing", "ghcr.io/somebody/thing"),
        (GitLabRegistry, "group/project", "registry.gitlab.com/group/project"),
        (GitLabRegistry, "gitlab.example.com:5050/group", "gitlab.example.com:5050/group"),
        (OciRegistry, "https://example.com/team/", "example.com/team"),
        (OciRegistry, "http://localhost:5000/team", "localhost:5000/team"),
    ],
)
def test_addresses(flavor: type[OciRegistry], uri: str, whole: str) -> None:
    registry = flavor(RegistrySettings(uri=uri))
    assert registry.uri == whole
    assert registry.repository("app") == f"{whole}/app"
    assert registry.resource_id() == whole.partition("/")[0]


def test_plain_http_is_said_with_its_setting() -> None:
    with pytest.raises(ValidationError, match=r"write example\.com/team, with --insecure where that is meant"):
        RegistrySettings(uri="http://example.com/team")
    assert RegistrySettings(uri="http://example.com/team", insecure=True).uri == "example.com/team"


@pytest.mark.parametrize("settings", [{"username": "me"}, {"password": "x"}, {"uri": "Upper Case"}, {"usrname": "me"}])
def test_settings_that_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        RegistrySettings(**{"uri": "example.com", **settings})  # type: ignore[arg-type]
