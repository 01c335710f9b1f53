"""What a Docker engine that builds images is asked, and how it fails, without one."""

from __future__ import annotations

import os
import tarfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker
import pytest

from core.builtin.image_builders.buildkit import Buildkit
from core.builtin.image_builders.engine import Engine
from core.errors import ConfigurationError, InfrastructureError
from core.ports.container_registry import RegistryLogin
from core.ports.image_builder import BASE, USER, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECIPE = Recipe("a" * 64, "FROM x", "base:1", "linux/amd64", {}, "", "")
BY_DIGEST = f"there.example/base@sha256:{'a' * 64}"


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
    words = (
        "received unexpected HTTP status:",
        "unexpected status from PUT request to http://host/v2/x:",
        "HTTP status:",
    )
    answers = [
        *([{"error": f"{word} 503 Service Unavailable"}] for word in words[:failures]),
        [{"aux": {"Digest": "sha256:1"}}],
    ]
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


class Sdk:
    """An SDK of docker that notes what the engine is asked for; what it pulls is for `platform`, and has `user`."""

    def __init__(self, platform: str = "linux/amd64", user: str = "") -> None:
        system, _, processor = platform.partition("/")
        self.about = {"Os": system, "Architecture": processor, "Config": {"User": user}}
        self.there, self.asked = set[str](), list[dict[str, Any]]()
        self.api, self.images = self, SimpleNamespace(get=self.get)

    def get(self, name: str) -> Any:
        if name not in self.there:
            raise docker.errors.ImageNotFound("none")
        return SimpleNamespace(id=name, attrs=self.about, tag=lambda *words: self.there.add(":".join(words)))

    def pull(self, name: str, version: str, **options: Any) -> None:
        self.there |= {f"{name}@{version}", f"{name}:{version}"}
        self.asked.append({"pull": f"{name} {version}", **options})

    def build(self, fileobj: Any, **options: Any) -> Any:
        with tarfile.open(fileobj=fileobj) as tar:
            files = {one.name: tar.extractfile(one).read().decode() for one in tar if one.isfile()}  # type: ignore[union-attr]
        self.asked.append({"build": files, **options})
        self.there.add(f"sha256:{len(self.asked)}")
        return iter([{"stream": "Step 1/1 : FROM x\n"}, {"aux": {"ID": f"sha256:{len(self.asked)}"}}])


@pytest.fixture
def without_buildkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Buildkit, "find", lambda *_: None)


@pytest.mark.usefixtures("without_buildkit")
def test_an_environment_is_for_the_platform_that_was_asked_for():
    sdk = Sdk("linux/arm64")
    recipe = RECIPE._replace(base=BY_DIGEST, platform="linux/arm64", files={"requirements.txt": b"numpy"})
    assert Engine(sdk, "").build(recipe, RegistryLogin("me", "word"), print) == "sha256:2"
    pulled, built = sdk.asked
    name, _, digest = BY_DIGEST.partition("@")
    login = {"username": "me", "password": "word"}
    assert pulled == {"pull": f"{name} {digest}", "auth_config": login, "platform": "linux/arm64"}
    assert (built["platform"], built["build"]) == (
        "linux/arm64", {"requirements.txt": "numpy", "Dockerfile": "FROM x"},
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"is not for linux/s390x; it is for linux/arm64"):
        Engine(sdk, "").build(recipe._replace(platform="linux/s390x"), None, print)


@pytest.mark.usefixtures("without_buildkit")
@pytest.mark.parametrize(
    ("user", "runs_as"),
    [
        *((user, "1000:1000") for user in ("", "root", "root:root", "0", "0:0")),
        *((user, user) for user in ("app", "app:root", "1234", "1234:0", "rootless")),
    ],
)
def test_a_base_that_has_a_user_of_its_own_keeps_it(user: str, runs_as: str):
    sdk = Sdk(user=user)
    recipe = RECIPE._replace(base=BY_DIGEST, dockerfile=f"FROM {BASE}\nUSER root\nUSER {USER}\n")
    Engine(sdk, "").build(recipe, None, print)
    name = f"core-base:{'a' * 32}"
    assert sdk.asked[-1]["build"]["Dockerfile"] == f"FROM {name}\nUSER root\nUSER {runs_as}\n"
    assert name in sdk.there


@pytest.mark.usefixtures("without_buildkit")
def test_the_build_context_is_what_docker_does_not_ignore(tmp_path: Path):
    """It is for the Dockerfile of one's own; what is built on that gets the recipe's files only."""
    (tmp_path / "with space").mkdir()
    for name in ("a.txt", "with space/ä.txt", "b.log", "with space/c.log", "kept.log", "Dockerfile"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text("# not these\n**/*.log\n!kept.log\n")
    sdk = Sdk()
    recipe = RECIPE._replace(base="", own="FROM mine", context=str(tmp_path), files={"requirements.txt": b"numpy"})
    Engine(sdk, "").build(recipe, None, print)
    own, environment = (asked["build"] for asked in sdk.asked)
    assert set(own) == {".dockerignore", "a.txt", "with space/ä.txt", "kept.log", "Dockerfile"}
    assert (own["with space/ä.txt"], own["Dockerfile"]) == ("with space/ä.txt", "FROM mine")
    assert environment == {"requirements.txt": "numpy", "Dockerfile": "FROM x"}


def test_dockers_client_builds_on_the_same_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    client, context = tmp_path / "docker", tmp_path / "my context"
    client.write_text(CLIENT)
    client.chmod(0o755)
    context.mkdir()
    (context / "a.txt").write_text("the file")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sdk, said = Sdk(), list[str]()
    sdk.there.add("sha256:made")
    own = RECIPE._replace(own="FROM mine", context=str(context), platform="linux/arm64", secrets={"word": "horse"})
    recipe = own._replace(dockerfile=f"FROM {BASE}", files={"a.txt": b"another"})
    assert Engine(sdk, "ssh://me@there").build(recipe, None, said.append) == "sha256:made"
    first = ["ssh://me@there 1", "linux/arm64", "FROM mine", "horse", "the file"]
    assert said == [*first, *first[:2], f"FROM core-base:{'a' * 32}", "horse", "another"]
    assert (os.listdir(context), sdk.asked) == (["a.txt"], [])


CLIENT = """#!/bin/sh
[ "$1" = --version ] && echo "Docker version 20.1" && exit
echo "$DOCKER_HOST $DOCKER_BUILDKIT"
while [ $# -gt 1 ]; do
    case "$1" in
        --platform) platform=$2 ;;
        --iidfile) id=$2 ;;
        -f) file=$2 ;;
        --secret) secret=${2#id=word,src=} ;;
    esac
    shift
done
echo "$platform"
for each in "$file" "$secret" "$1/a.txt"; do cat "$each"; echo; done
echo sha256:made > "$id"
"""
