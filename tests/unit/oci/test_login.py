"""What docker's own configuration knows of a registry, and how its SDK takes a login."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import ConfigurationError
from core.oci.login import docker_auth, docker_login
from core.ports.container_registry import RegistryLogin

if TYPE_CHECKING:
    from pathlib import Path

HELPER = """#!/bin/sh
read host
case "$1 $host" in
    "get a.example") echo '{"Username": "me", "Secret": "word"}' ;;
    "get b.example") echo '{"Username": "<token>", "Secret": "long"}' ;;
    "get https://index.docker.io/v1/") echo '{"Username": "hub", "Secret": "word"}' ;;
    *) echo "credentials not found in native keychain"; exit 1 ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration, and the first folder of PATH."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def helper(folder: Path, name: str, text: str) -> None:
    """A program that docker's configuration knows as `name`."""
    program = folder / f"docker-credential-{name}"
    program.write_text(text)
    program.chmod(0o755)


def test_an_identity_token_is_no_password(folder: Path):
    auths = {"a.example": {"identitytoken": "long"}, "b.example": {"username": "me", "password": "word"}}
    (folder / "config.json").write_text(json.dumps({"auths": auths}))
    assert docker_auth(docker_login("a.example")) == {"identitytoken": "long"}
    assert docker_auth(RegistryLogin("me", "word")) == {"username": "me", "password": "word"}
    assert docker_auth(docker_login("c.example")) is None


def test_a_credential_helper_is_asked_for_its_registries(folder: Path):
    """It alone knows the login; what it has no entry for may stand in the file."""
    helper(folder, "own", HELPER)
    helper(folder, "other", '#!/bin/sh\necho asked > "${0%/*}/asked"; exit 1\n')
    auths = {"a.example": {"auth": "b2xkOnBhc3M="}, "c.example": {"auth": "b2xkOnBhc3M="}}
    helpers = dict.fromkeys(("a.example", "b.example", "c.example", "d.example", "https://index.docker.io/v1/"), "own")
    (folder / "config.json").write_text(json.dumps({"auths": auths, "credsStore": "other", "credHelpers": helpers}))
    assert docker_auth(docker_login("a.example")) == {"username": "me", "password": "word"}
    assert docker_auth(docker_login("b.example")) == {"identitytoken": "long"}
    assert docker_auth(docker_login("c.example")) == {"username": "old", "password": "pass"}
    assert docker_login("d.example") is None
    assert docker_auth(docker_login("docker.io")) == {"username": "hub", "password": "word"}
    assert not (folder / "asked").exists()
    with pytest.raises(ConfigurationError, match="docker-credential-other"):
        docker_login("e.example")
    assert (folder / "asked").exists()
    (folder / "config.json").write_text(json.dumps({"credsStore": "own"}))
    assert docker_auth(docker_login("a.example")) == {"username": "me", "password": "word"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#!/bin/sh\necho the keyring is locked; exit 1\n", "the keyring is locked"),
        ("", "OS error"),
        ("#!/bin/sh\necho hello\n", "it can't be read"),
        ("#!/bin/sh\necho '{}'\n", "it can't be read .*Username"),
        (None, "docker-credential-broken not installed"),
    ],
)
def test_a_helper_that_fails_is_told(folder: Path, text: str | None, told: str):
    if text is not None:
        helper(folder, "broken", text)
    (folder / "config.json").write_text(json.dumps({"credsStore": "broken"}))
    with pytest.raises(ConfigurationError, match=rf"no login for registry 'a\.example': .*{told}") as caught:
        docker_login("a.example")
    assert "link a service connector" in caught.value.hint


@pytest.mark.parametrize("config", [[], {"auths": 3}, {"auths": {"a.example": {"auth": "***"}}}, {"credHelpers": 3}])
def test_a_configuration_that_can_not_be_read_is_told(folder: Path, config: Any):
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=r"no login for registry 'a\.example': it can't be read"):
        docker_login("a.example")
