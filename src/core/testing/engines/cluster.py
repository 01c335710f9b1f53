"""An API server of Kubernetes over TLS that knows who asks, and no more: for connectors, kubectl and logins."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class ApiServer:
    """Listens on loopback until `close`; `token` and the client certificate get in."""

    def __init__(self, folder: Path) -> None:
        self.token = "cluster-token-3b1f"  # noqa: S105 - it opens this cluster
        """Bearer token that gets in, as `system:serviceaccount:default:core`."""
        self.reviews = True
        """Whether it knows `SelfSubjectReview`, as Kubernetes does from 1.26 on."""
        self.calls: list[tuple[str, str]] = []
        """Method and path of each request."""
        self.authority, sign = _certificate("authority", None)
        server, server_key = _certificate("server", sign)
        self.certificate, key = _certificate("admin", sign)
        self.key = key.pem
        """With `certificate`, gets in as `admin`; both PEM."""
        (folder / "ca.pem").write_text(self.authority)
        (folder / "server.pem").write_text(server + server_key.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"https://{self.host}"
        """Where it answers; `authority` (PEM) signed its certificate."""

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(cluster: ApiServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            who = self._who()
            if not who:
                self._answer(401, {"kind": "Status", "code": 401})
            elif self.path.startswith("/version"):
                self._answer(200, {"gitVersion": "v1.33.0", "major": "1", "minor": "33"})
            else:
                self._answer(404, {"kind": "Status", "code": 404})

        def do_POST(self) -> None:
            who = self._who()
            self.rfile.read(int(self.headers["Content-Length"]))
            if not who:
                self._answer(401, {})
            elif self.path.endswith("authentication.k8s.io/v1/selfsubjectreviews") and cluster.reviews:
                self._answer(201, {"kind": "SelfSubjectReview", "status": {"userInfo": {"username": who}}})
            elif self.path.endswith("selfsubjectaccessreviews"):
                self._answer(201, {"status": {"allowed": True}})
            else:
                self._answer(404, {})

        def _who(self) -> str:
            cluster.calls.append((self.command, self.path))
            if self.headers.get("Authorization") == f"Bearer {cluster.token}":
                return "system:serviceaccount:default:core"
            shown = self.connection.getpeercert()
            return dict(pair for part in shown["subject"] for pair in part)["commonName"] if shown else ""

        def _answer(self, status: int, data: dict[str, Any]) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class _Key:
    """A key and whose it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.pem = self.key.private_bytes(*form).decode()


def _certificate(name: str, by: _Key | None) -> tuple[str, _Key]:
    """A certificate as PEM, and its key; signed by itself where nobody signs it."""
    key, now = _Key(name), dt.datetime.now(dt.UTC)
    sign = by or key
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    usage = x509.KeyUsage(True, False, False, False, False, by is None, by is None, False, False)  # noqa: FBT003
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(sign.name))
        .public_key(key.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(local, critical=False)
        .sign(sign.key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), key


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
