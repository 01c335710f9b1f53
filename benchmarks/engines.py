"""A Docker engine, a registry and a base image of 54 MB packed, for the rows about images; they end with the row."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import Bench, BenchmarkError, core_command, environment
from core.builtin.image_builders.buildkit import Buildkit
from core.testing.engines.base import push_base_image
from core.testing.engines.docker import DockerEngine, start_docker
from core.testing.engines.registry import RegistryServer, start_registry
from core.testing.engines.shared import Absent, Engines

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOW = """
import time
from core import ImageSettings, pipeline, step
import change

@step(cache=False)
def first(after: float = 0.0) -> float:
    return time.time()

@pipeline(image=ImageSettings(base_image="{base}"))
def flow(count: int = 1):
    at = first()
    for _ in range(count - 1):
        at = first(at)
"""


class Place(NamedTuple):
    """What a row works with."""

    folder: Path
    """The project: `flow.py`, `change.py`, and what the row puts there."""
    home: Path
    """Its home; the stack `boxes` (engine and registry) is active."""
    registry: str
    """`127.0.0.1:PORT`."""
    docker: str
    """For DOCKER_HOST."""
    base: str
    """The base image, by digest."""
    client: str
    """Path of docker's client, one that has BuildKit."""

    @property
    def environment(self) -> dict[str, str]:
        """For programs: the home, the engine, docker's own BuildKit."""
        own = {"DOCKER_HOST": self.docker, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(self.home / "docker")}
        return environment(self.home) | own

    def change(self, number: int) -> None:
        """Change one line of the code."""
        (self.folder / "change.py").write_text(f"NUMBER = {number}\n")

    def call(self, *command: object) -> str:
        """What a program prints, started in the project."""
        words = [str(word) for word in command]
        done = subprocess.run(words, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


@contextmanager
def started(bench: Bench) -> Iterator[Place]:
    """All of it, with an empty project."""
    with tempfile.TemporaryDirectory(prefix="core-engines-of-") as above:
        folder = Path(above, str(os.getpid()))  # short: paths of sockets must be
        engines = Engines(folder, os.getpid())
        try:
            registry = RegistryServer.from_data(engines.once("registry", start_registry))
            docker = DockerEngine.from_data(engines.once("docker", start_docker))
            base = push_base_image(registry)
            yield _place(bench, registry.host, docker.host, base)
        except Absent as absent:
            raise BenchmarkError(str(absent)) from absent
        finally:
            engines.close()


def _place(bench: Bench, registry: str, docker: str, base: str) -> Place:
    found = Buildkit.find(docker)
    if found is None:
        raise BenchmarkError("no docker client here has BuildKit")
    place = Place(bench.folder / "project", bench.home(), registry, docker, base, found.client)
    place.folder.mkdir()
    (place.folder / "pyproject.toml").write_text('[project]\nname = "work"\ndependencies = []\n')
    (place.folder / "flow.py").write_text(FLOW.format(base=base))
    place.change(0)
    core = core_command()
    place.call(*core, "orchestrator", "register", "boxes", "-f", "docker", f"--host={docker}", "--slots=1")
    place.call(*core, "container-registry", "register", "boxes", "-f", "default", f"--uri={registry}/bench")
    place.call(*core, "stack", "register", "boxes", "-o", "boxes", "-a", "default", "-c", "boxes")
    place.call(*core, "stack", "set", "boxes")
    place.call(*core, "pipeline", "build", "flow.py:flow")
    return place
