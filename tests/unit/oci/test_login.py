"""What docker's own configuration knows of a registry, and how its SDK takes a login."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.oci.login import docker_auth, docker_login
from core.ports.container_registry import RegistryLogin

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_identity_token_is_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    auths = {"a.example": {"identitytoken": "long"}, "b.example": {"username": "me", "password": "word"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    assert docker_auth(docker_login("a.example")) == {"identitytoken": "long"}
    assert docker_auth(RegistryLogin("me", "word")) == {"username": "me", "password": "word"}
    assert docker_auth(docker_login("c.example")) is None
