"""Where the Docker engine is, and what docker's SDK needs to reach it: for orchestrators and image builders."""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SOCKET = "unix:///var/run/docker.sock"
"""Where docker's own client looks when nobody says."""


def address_of(host: str = "") -> str:
    """`host`, else DOCKER_HOST, else docker's current context, else the socket of this machine."""
    context = None if host or os.environ.get("DOCKER_HOST") else _context()
    return host or os.environ.get("DOCKER_HOST", "") or (context.Host if context is not None else "") or SOCKET


def sdk_options(address: str) -> dict[str, Any]:
    """`base_url` and, where the engine wants certificates, `tls`; raises what the SDK does when those are missing."""
    if not address.startswith(("tcp://", "https://")):
        return {"base_url": address}
    context = _context_at(address)
    if context is not None and context.TLSConfig is not None:
        return {"base_url": address, "tls": context.TLSConfig}
    from docker.utils import kwargs_from_env  # an optional library

    return dict(kwargs_from_env(environment={**os.environ, "DOCKER_HOST": address}))


def knock(address: str) -> None:
    """Raise `OSError` when nobody listens at a socket of this machine: the SDK would leave its own open."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect(address.removeprefix("unix://"))


def client_variables(address: str) -> dict[str, str]:
    """What lets docker's own client reach it: nothing where its context does, with the certificates that it has."""
    return {"DOCKER_HOST": address} if _context_at(address) is None else {}


def wants_certificates(address: str) -> bool:
    """Whether only a machine that has certificates can reach it."""
    context = _context_at(address)
    return bool(os.environ.get("DOCKER_TLS_VERIFY")) or (context is not None and context.TLSConfig is not None)


def _context_at(address: str) -> Any:
    """Docker's current context where it is the one at `address`, else None."""
    context = None if os.environ.get("DOCKER_HOST") else _context()
    return context if context is not None and context.Host == address else None


def _context() -> Any:
    """Docker's current context, None for its default one or where it can't be read."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    try:
        name = os.environ.get("DOCKER_CONTEXT")
        if not name:
            with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
                name = json.load(file).get("currentContext") or "default"
        if name == "default":
            return None
        from docker.context import ContextAPI  # an optional library, and a slow one

        return ContextAPI.get_context(name)
    except Exception:  # noqa: BLE001 - what docker's own client left there; the SDK raises bare exceptions
        return None
