"""A Docker engine: a `dockerd` with folder, socket and network bridge of its own, beside any other on the machine."""

from __future__ import annotations

import os
import subprocess
from http.client import HTTPConnection
from random import randrange
from socket import AF_UNIX, socket
from typing import TYPE_CHECKING, Any

from core.model.value import Value
from core.testing.engines.shared import Absent, program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.testing.engines.shared import Place


LEFT = """
grep -o " $0[^ ]*" /proc/mounts | sort -r | while read place; do umount -l "$place"; done
for table in nat filter; do
    iptables -t $table -S | grep -w "$1" | sed "s/^-A/-D/" | while read rule; do iptables -t $table $rule; done
done
"""
"""Frees what an engine leaves: what a killed one has mounted below the folder, rules of its bridge."""


class DockerEngine(Value):
    """An engine that runs."""

    host: str
    """For `DOCKER_HOST`: `unix://` and the path of its socket."""
    log: str
    """Path of its log."""
    gateway: str
    """Address under which containers on its default network reach this machine."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> DockerEngine:
        """What `start_docker` returned."""
        return cls(**{name: data[name] for name in cls._fields})


def start_docker(place: Place) -> dict[str, Any]:
    """Start one, in about two seconds; it wants root."""
    command = program("dockerd")
    if os.geteuid() != 0:
        raise Absent("dockerd runs only as root")
    program("iptables")
    bridge, gateway = _bridge()
    folder, address = place.folder, str(place.folder / "docker.sock")
    options = ["--data-root", folder / "data", "--exec-root", folder / "exec", "-p", folder / "pid"]
    options += ["-H", f"unix://{address}", "--bridge", bridge, "--shutdown-timeout", "2"]
    after = [[program("ip"), "link", "delete", bridge], ["/bin/sh", "-c", LEFT, str(folder), bridge]]
    log = place.keep([command, *options], "dockerd", after)
    place.wait(lambda: answers(address), log)
    return {"host": f"unix://{address}", "log": str(log), "gateway": gateway}


def _bridge() -> tuple[str, str]:
    """Make a network bridge that no other engine has: its name, and this machine's address on it."""
    ip = program("ip")
    for _ in range(20):
        number = randrange(1, 255)  # noqa: S311 - only must not be the one of others
        name, address = f"coretest{number}", f"10.213.{number}.1"
        made = subprocess.run([ip, "link", "add", name, "type", "bridge"], check=False, capture_output=True, text=True)
        if not made.returncode:
            subprocess.run([ip, "address", "add", f"{address}/24", "dev", name], check=True)
            subprocess.run([ip, "link", "set", name, "up"], check=True)
            return name, address
    raise Absent(f"no network bridge can be made: {made.stderr.strip()}")


class _UnixConnection(HTTPConnection):
    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.host)


def answers(address: str) -> bool:
    """Whether an engine listens at this socket."""
    connection = _UnixConnection(address)
    try:
        connection.request("GET", "/_ping", headers={"Host": "docker"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
