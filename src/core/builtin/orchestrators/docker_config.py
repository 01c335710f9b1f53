"""What the Docker engine is asked to make for a job: resources, GPUs, labels, mounts."""

from __future__ import annotations

import os
import re

from core.errors import ConfigurationError
from core.text import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.model.job import Job

NAMES = {"run": "core.run", "job": "core.job", "deadline": "core.deadline"}
"""Labels by which containers are found again."""
KEPT = "64m"
"""What the engine keeps of a container's output, twice: the whole log is kept by core."""
_ODD = re.compile(r"[^a-zA-Z0-9_.-]+")


def container_name(job: str) -> str:
    """A name that the engine takes, the same for the same job: launching twice is noticed by it."""
    from blake3 import blake3  # start-up time: only jobs need it

    return f"core-{_ODD.sub('-', job)[-60:].strip('-.')}-{blake3(job.encode()).hexdigest(6)}"


def container_config(client: Any, job: Job, image: str, settings: Any) -> dict[str, Any]:
    """The engine's own form of a container."""
    from docker.types import DeviceRequest, LogConfig  # an optional library

    resources = job.resources
    binds = [f"{folder}:{folder}" for folder in job.folders]
    for folder in job.folders:
        os.makedirs(folder, exist_ok=True)  # else the engine makes it, and it is root's
    binds += [f"{source}:{target}" for source, target in settings.volumes.items()]
    host: dict[str, Any] = {"auto_remove": True, **_engine(settings, binds)} if job.driver else {}
    host |= {
        "binds": binds,
        "init": True,  # hands signals on, and reaps what a step leaves
        "log_config": LogConfig(type="json-file", config={"max-size": KEPT, "max-file": "2"}),
        "network_mode": settings.network or None,
    }
    if resources is not None and resources.cpus is not None:
        host["nano_cpus"] = int(resources.cpus * 10**9)
    if resources is not None and resources.memory is not None:
        host["mem_limit"] = host["memswap_limit"] = _memory(resources.memory)
    if resources is not None and resources.accelerators is not None:
        host["device_requests"] = [DeviceRequest(count=_count(resources.accelerators), capabilities=[["gpu"]])]
    labels = {NAMES["run"]: ""}  # else it has that of its image: of the run that first wanted it
    labels |= {f"core.{name}": value for name, value in job.labels.items()}
    labels |= {NAMES["job"]: job.id, NAMES["deadline"]: str(job.deadline or "")}
    user = settings.user
    if not user and job.folders:
        user = f"{os.getuid()}:{os.getgid()}"  # what it writes there is ours, and it may write there
    config: dict[str, Any] = client.create_container_config(
        image,
        list(job.command),
        user=user or None,
        environment={**settings.environment, **job.environment},
        entrypoint=[],
        stdin_open=True,
        labels=labels,
        host_config=client.create_host_config(**host),
    )
    config["StdinOnce"] = True  # it ends with the one who told what to do
    config["AttachStdin"] = True
    return config


def _engine(settings: Any, binds: list[str]) -> dict[str, Any]:
    """What lets a driver in a container reach this engine: its socket, and the group that may use it."""
    kind, _, path = settings.host.partition("://")
    if kind != "unix":
        return {}
    binds.append(f"{path}:{path}")
    try:
        return {"group_add": [str(os.stat(path).st_gid)]}
    except OSError:
        return {}  # the engine sees it, this process does not


def _memory(text: str) -> int:
    size = size_of(text)
    if size is None:
        raise ConfigurationError(f"memory {text!r} is no size", "write it as `16GiB` or `512MB`")
    return size


def _count(accelerators: str) -> int:
    """How many, of `A100:2`; `A100` alone is one."""
    _, colon, count = accelerators.partition(":")
    if colon and not count.isdecimal():
        raise ConfigurationError(
            f"accelerators {accelerators!r} must be kind and count", "write it as `A100:1`; the kind is the engine's"
        )
    return int(count) if colon else 1
