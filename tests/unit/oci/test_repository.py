"""The distribution client against a real registry."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import AuthenticationError, ConfigurationError, InfrastructureError, NotFoundError
from core.oci import repository as module
from core.oci.http import Http
from core.oci.image import Changes, Layer, publish, read_image
from core.oci.media import DOCKER_LAYER, OCI_INDEX, OCI_LAYER, Blob, digest_of, to_json
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.ports.container_registry import RegistryLogin
from core.testing.tiny_image import push_tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.testing.engines.registry import RegistryServer

    Make = Callable[..., Repository]
CODE = b"code of somebody"
LAYER = Layer(digest_of(CODE), digest_of(CODE), len(CODE))


def test_small_and_chunked_blobs_arrive(repository: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHUNK", 1000)
    there = repository()
    for size in (0, 1, 1000, 1001, 5432):
        data = bytes(number % 251 for number in range(size))
        assert not there.has(digest_of(data))
        there.upload(digest_of(data), io.BytesIO(data), size)
        assert there.has(digest_of(data))
        assert b"".join(there.stream(Blob(digest_of(data), size, ""))) == data


def test_an_image_gets_one_more_layer(repository: Make):
    there = repository()
    push_tiny_image(there)
    before = there.http.calls
    image = read_image(there, "base", "linux/amd64")
    changes = Changes({"PATH": "/app", "NEW": "1"}, {"run": "r1"}, "/app", "code")
    made = publish(there, lambda: image, None, LAYER, io.BytesIO(CODE), changes, "code")
    assert there.http.calls - before == 7
    again = read_image(there, made.digest, "linux/amd64")
    assert again.settings["Env"] == ["PATH=/app", "NEW=1"]
    assert again.settings["Labels"] == {"made-by": "test", "run": "r1"}
    assert again.settings["WorkingDir"] == "/app"
    assert again.config["rootfs"]["diff_ids"][1:] == [LAYER.diff_id]
    assert len(again.config["history"]) == 2
    assert there.head("code") == made.digest


@pytest.mark.parametrize("family", ["docker", "oci"])
def test_media_types_stay_of_the_family_of_the_base(repository: Make, family: str):
    there, docker = repository(), family == "docker"
    push_tiny_image(there, docker=docker)
    image = read_image(there, "base", "linux/amd64")
    made = publish(there, lambda: image, None, LAYER, io.BytesIO(CODE), Changes(), "code")
    assert made.media_type == image.manifest.media_type == made.data["mediaType"]
    assert made.layers[-1].media_type == (DOCKER_LAYER if docker else OCI_LAYER)


def test_a_registry_that_refuses_to_mount(repository: Make, monkeypatch: pytest.MonkeyPatch):
    there, data, nothing = repository(), b"new", f"blobs/{digest_of(b'nothing')}"
    ask = there.http.ask

    def refusing(method: str, url: str, **options: Any) -> Any:
        place, mounts, _ = url.partition("blobs/uploads/?mount=")
        return ask("GET", f"{place}{nothing}") if mounts else ask(method, url, **options)

    monkeypatch.setattr(there.http, "ask", refusing)
    there.upload(digest_of(data), io.BytesIO(data), len(data))
    assert there.has(digest_of(data))


def test_a_registry_that_never_mounts(repository: Make, monkeypatch: pytest.MonkeyPatch):
    """A large blob is asked for before it is sent."""
    there, data = repository(), bytes(module.WORTH + 1)
    ask = there.http.ask
    there.upload(digest_of(data), io.BytesIO(data), len(data))
    monkeypatch.setattr(there.http, "ask", lambda method, url, **options: ask(method, _plain(url), **options))
    sent = there.http.sent
    there.upload(digest_of(data), io.BytesIO(data), len(data))
    assert there.http.sent == sent


def _plain(url: str) -> str:
    return url.partition("?mount=")[0]


def test_what_is_there_is_not_sent_again(repository: Make):
    there, data = repository(), b"some layer" * 1000
    there.upload(digest_of(data), io.BytesIO(data), len(data))
    calls, sent = there.http.calls, there.http.sent
    there.upload(digest_of(data), io.BytesIO(data), len(data))
    assert (there.http.calls - calls, there.http.sent - sent) == (1, 0)


def test_the_same_twice_is_the_same_digest(repository: Make):
    there = repository()
    push_tiny_image(there)
    image = read_image(there, "base", "linux/amd64")
    digests = {
        publish(there, lambda: image, None, LAYER, io.BytesIO(CODE), Changes(labels={"a": "b"}), tag).digest
        for tag in ("one", "two")
    }
    assert len(digests) == 1


def test_layers_of_another_repository_are_mounted(repository: Make):
    base = repository()
    push_tiny_image(base)
    there = repository(sources=[base.reference.repository])
    image = read_image(base, "base", "linux/amd64")
    made = publish(there, lambda: image, base, LAYER, io.BytesIO(CODE), Changes(), "code")
    assert all(there.has(layer.digest) for layer in made.layers)
    assert there.http.sent < len(CODE) + 3000


def test_layers_of_another_registry_are_copied(repository: Make, oci_registry_basic: RegistryServer):
    base = repository()
    push_tiny_image(base)
    login = RegistryLogin(oci_registry_basic.username, oci_registry_basic.password)
    reference = parse_reference(f"{oci_registry_basic.host}/copied/app")
    with Repository(reference, lambda: login, push=True) as there:
        image = read_image(base, "base", "linux/amd64")
        made = publish(there, lambda: image, base, LAYER, io.BytesIO(CODE), Changes(), "code")
        assert sha256(there.blob(made.layers[0])).hexdigest() in made.layers[0].digest


def test_an_index_gives_the_manifest_of_the_platform(repository: Make):
    there = repository()
    digests = {name: push_tiny_image(there, name, architecture=name, docker=False) for name in ("amd64", "arm64")}
    entries = [
        {"digest": digest, "size": 1, "platform": {"os": "linux", "architecture": name}}
        for name, digest in digests.items()
    ]
    unknown = {"digest": digests["amd64"], "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}}
    for entry in (*entries, unknown):
        entry |= {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": len(_manifest(there, entry))}
    index = to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [unknown, *entries]})
    there.put_manifest(index, OCI_INDEX, "all")
    assert read_image(there, "all", "linux/arm64").manifest.digest == digests["arm64"]
    with pytest.raises(ConfigurationError, match=r"is not for linux/s390x; it is for linux/amd64, linux/arm64"):
        read_image(there, "all", "linux/s390x")
    with pytest.raises(ConfigurationError, match="is not for linux/arm64; it is for linux/amd64"):
        read_image(there, "amd64", "linux/arm64")


def _manifest(there: Repository, entry: dict[str, object]) -> bytes:
    return to_json(dict(there.manifest(str(entry["digest"])).data))


def test_a_missing_image_is_named(repository: Make):
    there = repository("nothing-here")
    assert there.head("v1") == ""
    with pytest.raises(NotFoundError, match=r"there is no image 127.0.0.1:\d+/test/nothing-here:v1"):
        there.manifest("v1")


@pytest.mark.parametrize("login", [None, RegistryLogin("somebody", "wrong password")])
def test_a_wrong_login_says_how_to_log_in(oci_registry_basic: RegistryServer, login: RegistryLogin | None):
    reference = parse_reference(f"{oci_registry_basic.host}/a/b")
    with (
        Repository(reference, lambda: login) as there,
        pytest.raises(AuthenticationError, match="login") as told,
    ):
        there.manifest("latest")
    assert "docker login" in told.value.hint
    assert "wrong password" not in str(told.value)


def test_a_registry_that_is_down_is_asked_a_few_times():
    reference = parse_reference("127.0.0.1:9/a/b")
    http = Http(reference.host, tries=2)
    with (
        Repository(reference, http=http) as there,
        pytest.raises(InfrastructureError, match="can't be reached: Connection refused"),
    ):
        there.manifest("latest")
    assert http.calls == 2


def test_the_registry_has_what_a_manifest_says(repository: Make):
    there = repository()
    digest = push_tiny_image(there)
    assert json.loads(to_json(dict(there.manifest(digest).data))) == dict(there.manifest("base").data)
