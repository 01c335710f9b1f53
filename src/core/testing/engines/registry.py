"""A container registry: the `docker-registry` of Debian (CNCF distribution), with its files in the session's folder."""

from __future__ import annotations

import json
import secrets
import subprocess
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from core.model.value import Value
from core.testing.engines.shared import free_port, program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.testing.engines.shared import Place


class RegistryServer(Value):
    """A registry that runs; it speaks plain http."""

    host: str
    """`127.0.0.1:PORT`."""
    username: str = ""
    password: str = ""
    """Empty where everybody may come in."""
    log: str = ""
    """Path of its log, which has a line for each request."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RegistryServer:
        """What `start_registry` returned."""
        return cls(**{name: data[name] for name in cls._fields})


def start_registry(place: Place, auth: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Start one; `auth` is that section of its configuration, with `username` and `password` beside it if known."""
    command, port = program("docker-registry"), free_port()
    auth = dict(auth or {})
    login = {key: auth.pop(key, "") for key in ("username", "password")}
    configuration = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(place.folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": secrets.token_hex(16)},
    } | ({"auth": auth} if auth else {})
    file = place.folder / "config.yml"
    file.write_text(json.dumps(configuration))
    log = place.keep([command, "serve", file], "registry")
    place.wait(lambda: _answers(port), log)
    return {"host": f"127.0.0.1:{port}", "log": str(log), **login}


def htpasswd(place: Place, username: str = "somebody") -> dict[str, Any]:
    """The `auth` of a registry that knows one person, and her password (bcrypt takes 72 bytes of it)."""
    password = secrets.token_urlsafe(24)
    command = [program("htpasswd"), "-Bbn", username, password]
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    file = place.folder / "htpasswd"
    file.write_text(line)
    return {"htpasswd": {"realm": "core", "path": str(file)}, "username": username, "password": password}


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in {200, 401}
    except OSError:
        return False
    finally:
        connection.close()
