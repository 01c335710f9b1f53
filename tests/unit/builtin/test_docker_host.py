"""Where the Docker engine is, and how it is reached."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

import docker
import pytest

from core.builtin.docker_host import SOCKET, address_of, client_variables, sdk_options, wants_certificates
from core.builtin.orchestrators.docker import DockerOrchestrator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration: none yet."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_certificates_are_used_whoever_names_the_address(folder: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("ca", "cert", "key"):
        (folder / f"{name}.pem").touch()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    client = docker.APIClient(version="1.41", **sdk_options("tcp://builder:2376"))
    assert client.base_url == "https://builder:2376"
    client.close()
    assert sdk_options(SOCKET) == {"base_url": SOCKET}


def test_the_current_context_counts_for_orchestrators_too(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert address_of() == SOCKET
    (folder / "config.json").write_text('{"currentContext": "mine"}')
    assert address_of() == SOCKET  # there is none of that name
    meta = folder / "contexts" / "meta" / sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    about = {"Name": "mine", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://mine:2376"}}}
    (meta / "meta.json").write_text(json.dumps(about))
    assert DockerOrchestrator().engine == address_of() == "tcp://mine:2376"
    certificates = folder / "contexts" / "tls" / meta.name / "docker"
    certificates.mkdir(parents=True)
    for name in ("ca", "cert", "key"):
        (certificates / f"{name}.pem").touch()
    assert sdk_options("tcp://mine:2376")["tls"].cert == (f"{certificates}/cert.pem", f"{certificates}/key.pem")
    assert wants_certificates("tcp://mine:2376")
    assert client_variables("tcp://mine:2376") == {}
    assert client_variables("tcp://other:1") == {"DOCKER_HOST": "tcp://other:1"}
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert address_of() == SOCKET
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:1")
    assert (address_of(), address_of("tcp://other:1")) == ("tcp://there:1", "tcp://other:1")
