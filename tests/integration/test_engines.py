"""The engines that tests start themselves: they run, they are shared, and they end with the session."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import docker
import pytest

from core.testing.engines.shared import Absent, Engines, alive

if TYPE_CHECKING:
    from pathlib import Path

    from core.testing.engines.docker import DockerEngine
    from core.testing.engines.registry import RegistryServer


def test_a_container_of_the_base_image_runs_this_python(docker_engine: DockerEngine, base_image: str):
    client = docker.DockerClient(base_url=docker_engine.host)
    code = "import ssl, sqlite3, platform; print(platform.python_version())"
    said = client.containers.run(base_image, ["python", "-c", code], remove=True, network_mode="none")
    client.close()
    assert said.decode().strip() == ".".join(map(str, sys.version_info[:3]))


def test_the_base_image_is_in_the_registry_by_digest(base_image: str, oci_registry: RegistryServer):
    repository, _, digest = base_image.partition("@")
    assert repository.startswith(oci_registry.host)
    url = f"http://{oci_registry.host}/v2/core/base/manifests/{digest}"
    accept = "application/vnd.docker.distribution.manifest.v2+json"
    with urlopen(Request(url, headers={"Accept": accept})) as answer:
        assert len(json.load(answer)["layers"]) == 1


def test_the_basic_registry_wants_its_password(oci_registry_basic: RegistryServer):
    url = f"http://{oci_registry_basic.host}/v2/"
    with pytest.raises(HTTPError, match="401"):
        urlopen(url)
    login = f"{oci_registry_basic.username}:{oci_registry_basic.password}".encode()
    with urlopen(Request(url, headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"})) as answer:
        assert answer.status == 200


def test_an_engine_is_started_once(tmp_path: Path):
    engines, made = Engines(tmp_path, os.getpid()), []
    for _ in range(2):
        assert engines.once("one", lambda place: {"number": made.append(place) or len(made)}) == {"number": 1}

    def absent(_: object) -> dict[str, object]:
        made.append("absent")
        raise Absent("no such program")

    for _ in range(2):
        with pytest.raises(Absent, match="no such program"):
            engines.once("other", absent)
    assert made.count("absent") == 1


def test_an_engine_dies_with_the_process_of_the_tests(tmp_path: Path):
    code = f"""
import os, signal
from pathlib import Path
from core.testing.engines.shared import Engines
engines = Engines(Path({str(tmp_path)!r}), os.getpid())
engines.once("sleeper", lambda place: {{"log": str(place.keep(["sleep", "60"], "sleep"))}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    keeper = int((tmp_path / "sleeper" / "sleep.keeper").read_text())
    end = time.monotonic() + 10
    while alive(keeper) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(keeper)
