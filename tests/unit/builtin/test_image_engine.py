"""What a Docker engine that builds images is asked, and how it fails, without one."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker
import pytest

from core.builtin.image_builders.buildkit import Buildkit
from core.builtin.image_builders.engine import Engine
from core.errors import InfrastructureError
from core.ports.image_builder import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECIPE = Recipe("a" * 64, "FROM x", "base:1", "linux/amd64", {}, "", "")


@pytest.mark.parametrize(
    ("ask", "doing"),
    [
        (lambda engine: engine.find("a:1"), "look for a:1"),
        (lambda engine: engine.tag("a:1", "b", "2"), "name a:1 b:2"),
        (lambda engine: engine.build(RECIPE, None, print), "look for base:1"),
        (lambda engine: engine.push("a:1", "b", "2", None), "name a:1 b:2"),
    ],
)
def test_an_engine_that_went_away_is_told(ask: Callable[[Engine], Any], doing: str):
    engine = Engine(docker.DockerClient(base_url="tcp://127.0.0.1:9", version="1.41"), "tcp://127.0.0.1:9")
    with pytest.raises(InfrastructureError, match=f"the Docker engine can't {doing}: .*refused"):
        ask(engine)
    engine.close()


@pytest.mark.parametrize(("failures", "said"), [(2, ""), (3, "503 Service Unavailable")])
def test_a_push_that_a_registry_fails_is_tried_again(monkeypatch, failures, said):
    monkeypatch.setattr("core.builtin.image_builders.engine.PAUSES", (0.0, 0.0))
    error = [{"error": "received unexpected HTTP status: 503 Service Unavailable"}]
    answers = [*(error for _ in range(failures)), [{"aux": {"Digest": "sha256:1"}}]]
    api = SimpleNamespace(push=lambda *_, **__: iter(answers.pop(0)))
    client = SimpleNamespace(api=api, images=SimpleNamespace(get=lambda _: SimpleNamespace(tag=lambda *_: True)))
    engine = Engine(client, "")
    if not said:
        assert engine.push("a:1", "b", "2", None) == "b@sha256:1"
        return
    with pytest.raises(InfrastructureError, match=said):
        engine.push("a:1", "b", "2", None)


def test_a_push_without_a_digest_is_none():
    images = SimpleNamespace(get=lambda _: SimpleNamespace(tag=lambda *_: True))
    api = SimpleNamespace(push=lambda *_, **__: iter([{"status": "Pushed"}]))
    client: Any = SimpleNamespace(images=images, api=api)
    with pytest.raises(InfrastructureError, match="can't push to b: it told no digest"):
        Engine(client, "").push("a:1", "b", "2", None)


def test_dockers_client_builds_on_the_same_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    client = tmp_path / "docker"
    client.write_text(CLIENT)
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    buildkit, said = Buildkit.find("ssh://me@there"), list[str]()
    assert buildkit is not None
    assert buildkit.build("FROM x", {}, "", "linux/amd64", {}, said.append) == "sha256:made"
    assert said == ["ssh://me@there"]


CLIENT = """#!/bin/sh
[ "$1" = --version ] && echo "Docker version 20.1" && exit
echo "$DOCKER_HOST"
while [ "$1" != --iidfile ]; do shift; done
echo sha256:made > "$2"
"""
