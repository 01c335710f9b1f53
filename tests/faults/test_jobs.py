"""kill -9 of a driver whose steps run in containers, of containers and of the engine; then resume: nothing is left over, nothing finished is done twice."""

from __future__ import annotations

import os
import random
import signal
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import faults_harness as harness
import pytest

import core
from core.ports.catalog import Entry
from core.settings import Settings
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.testing.engines.docker import DockerEngine

SHORT = "data = start(3)\n    merge([named('a')('a', data), named('b')('b', data)])"


class Containers(harness.Table):
    """A pipeline whose steps run in containers."""

    def __init__(self, folder: Path, shape: str, engine: DockerEngine, image: str) -> None:
        super().__init__(folder, shape or "chain", 3)
        if not shape:
            self.script.write_text(f"{harness.HEAD}@pipeline\ndef flow():\n    {SHORT}\n\nflow()\n")
        self.environment |= {"CORE_STACK": "containers", "CORE_HEARTBEAT": "0.5"}
        packages, source = sysconfig.get_path("purelib"), str(Path(core.__file__).parent.parent)
        settings = {
            "host": engine.host,
            "image": image,
            "environment": {"PYTHONPATH": f"{source}:{packages}", "TRACE": str(folder / "trace")},
            "volumes": {path: f"{path}:ro" for path in (packages, source)} | {str(folder): str(folder)},
        }
        with Workspace(Settings(home=str(self.home))) as workspace:
            put = workspace.catalog.put
            put(Entry("orchestrator", "engine", 0, {"flavor": "docker", "settings": settings}))
            put(
                Entry("stack", "containers", 0, {"components": {"orchestrator": "engine", "artifact_store": "default"}})
            )
        self.client = docker.DockerClient(base_url=engine.host)

    def mine(self) -> list[Any]:
        """Containers of its run, at work or not."""
        every = self.client.containers.list(all=True, filters={"label": "core.pipeline=flow"}, ignore_removed=True)
        return [found for found in every if str(self.folder) in str(found.attrs["HostConfig"]["Binds"])]

    def check(self) -> None:
        """Nothing is left over of it on the engine either."""
        super().check()
        assert not self.mine()


@pytest.fixture
def containers(tmp_path: Path, docker_engine: DockerEngine, base_image: str) -> Iterator[Any]:
    made: list[Containers] = []

    def make(shape: str = "") -> Containers:
        made.append(Containers(tmp_path, shape, docker_engine, base_image))
        return made[0]

    yield make
    for table in made:
        for found in table.mine():
            found.remove(force=True)
        table.client.close()


CASES = [("job.wanted", 2), ("job.launched", 1), ("job.launched", 3), ("job.ended", 1), ("job.ended", 2)]


@pytest.mark.parametrize(("name", "nth"), CASES if harness.FULL else CASES[2:3])
def test_a_killed_driver_s_containers_are_taken_over(containers: Any, name: str, nth: int) -> None:
    table = containers()
    process = table.begin(CORE_FAILPOINTS=f"{name}=kill@{nth}")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    table.complete(said)
    table.check()
    assert table.traces() == {"start": 2, "failed": 1, "a": 1, "b": 1, "merge": 1}


@pytest.mark.skipif(not harness.FULL, reason="CORE_FAULTS=1 plays the whole table")
@pytest.mark.parametrize("seed", range(12))
def test_killed_at_random_then_resumed(containers: Any, seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - the same each time
    table = containers(draw.choice(list(harness.SHAPES)))
    process = table.begin()
    for _ in range(3):
        time.sleep(draw.uniform(0.3, 3.0))
        running = [found for found in table.mine() if found.status == "running"]
        if running and draw.random() < 0.6:
            os.kill(draw.choice(running).attrs["State"]["Pid"], signal.SIGKILL)
        else:
            process.kill()
    said, _ = process.communicate(timeout=120)
    table.complete(said)
    table.check()
