"""A registry that is slow, full, overloaded, breaks off, or no longer takes the token: a real one behind a proxy."""

from __future__ import annotations

import io
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from core.beside import Beside
from core.errors import AuthenticationError, InfrastructureError
from core.image.layer import pack
from core.oci import http
from core.oci import repository as module
from core.oci.http import Http
from core.oci.image import Changes, Layer, publish, read_image
from core.oci.media import digest_of
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.ports.container_registry import RegistryLogin
from core.testing.engines.proxy import Fault
from core.testing.tiny_image import push_tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.testing.engines.proxy import FaultProxy
    from core.testing.engines.registry import RegistryServer

FULL = '{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Err":"no space left on device"}}]}'


@pytest.fixture
def proxy(
    oci_registry: RegistryServer, fault_proxy: Callable[[str], FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> FaultProxy:
    """Before the registry that lets everybody in; tries follow each other at once."""
    monkeypatch.setattr(http, "FIRST", 0.01)
    return fault_proxy(f"http://{oci_registry.host}")


def at(proxy: FaultProxy, name: str, **options: object) -> Repository:
    reference = parse_reference(f"{proxy.url.removeprefix('http://')}/test/{name}")
    return Repository(reference, push=True, **options)  # type: ignore[arg-type]


def test_what_passes_is_waited_for(proxy: FaultProxy):
    with at(proxy, "passing") as repository:
        proxy.fail(
            Fault("POST", status=503, times=2),
            Fault("PUT", status=429, retry_after="0", times=1),
            Fault("HEAD", reset=True, times=1),
        )
        digest = repository.upload_bytes(b"data")
        assert repository.has(digest)
    assert proxy.count() == 2 + 1 + 1 + 1 + 1 + 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PATCH", after=70_000, times=1),
        Fault("PATCH", lose=True, times=1, skip=1),
        Fault("PUT", after=20_000, times=1),
        Fault("PUT", lose=True, times=1),
    ],
    ids=["in a chunk", "after a chunk", "in the last", "after the last"],
)
def test_an_upload_that_breaks_off_goes_on(proxy: FaultProxy, fault: Fault, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHUNK", 100_000)
    data = os.urandom(350_000)
    with at(proxy, "broken") as repository:
        proxy.fail(fault)
        repository.upload(digest_of(data), io.BytesIO(data), len(data))
        assert repository.has(digest_of(data))


@pytest.mark.parametrize(("code", "begun"), [("BLOB_UPLOAD_INVALID", 2), ("DIGEST_INVALID", 1)])
def test_only_an_upload_that_was_lost_begins_anew(proxy: FaultProxy, code: str, begun: int):
    with at(proxy, code.lower()) as repository:
        proxy.fail(Fault("PUT", status=400, body=json.dumps({"errors": [{"code": code}]}), times=1))
        if begun == 1:
            with pytest.raises(InfrastructureError, match=f"push a blob of 4 bytes .* answered 400 .{code}"):
                repository.upload_bytes(b"data")
        else:
            repository.upload_bytes(b"data")
    assert proxy.count("POST") == begun


def test_a_full_registry_is_told_at_once(proxy: FaultProxy):
    with at(proxy, "full") as repository:
        proxy.fail(Fault("PUT", status=500, body=FULL))
        with pytest.raises(
            InfrastructureError, match=r"push a blob of 4 bytes .* answered 500 .*no space left"
        ) as caught:
            repository.upload_bytes(b"data")
    assert "make room" in caught.value.hint
    assert proxy.count("PUT") == 1


def test_a_slow_registry_is_given_up(proxy: FaultProxy):
    name = proxy.url.removeprefix("http://")
    with at(proxy, "slow", http=Http(name, read=0.1, tries=2)) as repository:
        proxy.fail(Fault(delay=1.0))
        with pytest.raises(InfrastructureError, match="does not answer in time"):
            repository.head("latest")


class Realm(ThreadingHTTPServer):
    """Gives tokens; `given` tells which, `login` who wanted them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.given: list[str] = []
        self.login = ""
        self.challenge = f'Bearer realm="http://127.0.0.1:{self.server_port}/token",service="test"'


class _Answers(BaseHTTPRequestHandler):
    server: Realm

    def do_GET(self) -> None:
        self.server.login = self.headers.get("Authorization", "")
        self.server.given.append(f"token-{len(self.server.given)}")
        body = json.dumps({"token": self.server.given[-1]}).encode()
        self.send_response(401 if self.server.login.endswith("wrong") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def realm() -> Iterator[Realm]:
    server = Realm()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_token_that_expires_in_mid_push_is_renewed(proxy: FaultProxy, realm: Realm):
    with at(proxy, "renewed", login=lambda: RegistryLogin("me", "word")) as repository:
        base = push_tiny_image(repository)
        refuse = {"status": 401, "challenge": realm.challenge, "times": 1}
        proxy.fail(Fault("GET", **refuse), Fault("PUT", "manifests", **refuse))
        image = read_image(repository, base, "")
        layer, packed = _layer()
        made = publish(repository, lambda: image, None, layer, packed, Changes(), "renewed")
        assert repository.head("renewed") == made.digest
    assert realm.given == ["token-0", "token-1"]
    assert realm.login.startswith("Basic ")


def test_a_login_that_is_no_longer_good_ends_the_push(proxy: FaultProxy, realm: Realm):
    with at(proxy, "refused", login=lambda: None) as repository:
        proxy.fail(Fault("PUT", status=401, challenge=realm.challenge))
        with pytest.raises(AuthenticationError, match="answered 401"):
            repository.upload_bytes(b"data")
    assert len(realm.given) == 1


def test_what_goes_on_beside_raises_where_its_result_is_wanted():
    assert Beside(lambda: 7).result() == 7
    with pytest.raises(ZeroDivisionError):
        Beside(lambda: 1 // 0).result()


def _layer() -> tuple[Layer, io.BytesIO]:
    packed = io.BytesIO()
    return pack([b"x" * 2000], packed), packed
