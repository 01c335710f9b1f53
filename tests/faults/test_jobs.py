"""kill -9 of a driver whose steps run in containers, of containers and of the engine; then resume: nothing is left over, nothing finished is done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sysconfig
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import faults_harness as harness
import pytest

import core
from core.ports.catalog import Entry
from core.settings import Settings
from core.testing.engines.docker import LEFT, DockerEngine, answers
from core.testing.engines.shared import program
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = pytest.mark.skipif(not harness.FULL, reason="CORE_FAULTS=1 plays the whole table")
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
        self.settings: dict[str, Any] = settings
        self.registered: list[dict[str, str]] = []
        self.register()
        self.client = docker.DockerClient(base_url=engine.host)

    def register(self, **environment: str) -> None:
        """The stack; in its containers there are these variables, too."""
        settings = {**self.settings, "environment": {**self.settings["environment"], **environment}}
        components = {"orchestrator": "engine", "artifact_store": "default"}
        with Workspace(Settings(home=str(self.home))) as workspace:
            put, revision = workspace.catalog.put, len(self.registered)
            put(Entry("orchestrator", "engine", revision, {"flavor": "docker", "settings": settings}))
            put(Entry("stack", "containers", revision, {"components": components}))
        self.registered.append(environment)

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


CASES = [("job.launched", 3), ("container.started", 2), ("job.wanted", 2), ("job.launched", 1), ("job.ended", 1)]
CASES += [("job.ended", 2), ("container.created", 1), ("container.created", 3), ("container.started", 1)]
CASES += [("container.told", 1), ("container.told", 4), ("run.ended", 1)]


@pytest.mark.parametrize(("name", "nth"), CASES if harness.FULL else CASES[:2])
def test_a_killed_driver_s_containers_are_taken_over(containers: Any, name: str, nth: int) -> None:
    table = containers()
    process = table.begin(CORE_FAILPOINTS=f"{name}=kill@{nth}")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    table.complete(said)
    table.check()
    assert table.traces() == {"start": 2, "failed": 1, "a": 1, "b": 1, "merge": 1}


@WHOLE
def test_killed_while_it_takes_over(containers: Any) -> None:
    table = containers()
    for words, name in (((), "job.launched"), (("runs", "resume", "latest"), "job.taken")):
        process = table.begin(*words, CORE_FAILPOINTS=f"{name}=kill")
        said, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said
        assert table.settled() == "lost"
    table.complete()
    table.check()
    assert table.traces() == {"start": 2, "failed": 1, "a": 1, "b": 1, "merge": 1}


@WHOLE
def test_killed_while_it_ends_the_run_of_a_dead_driver(containers: Any) -> None:
    """The end is recorded when nothing is left: who was killed before asks again."""
    table = containers()
    for words, name in (((), "job.launched"), (("runs", "cancel", "latest"), "run.cleared")):
        process = table.begin(*words, CORE_FAILPOINTS=f"{name}=kill")
        said, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said
        assert table.settled() == "lost"
        assert bool(table.mine()) == (not words)
    for words, state in ((("cancel", "latest"), "cancelled"), (("resume", "latest"), "completed")):
        process = table.begin("runs", *words)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert table.settled() == state
    table.check()


PHASES = ["attempt.started", "checkpoint.kept", "attempt.returned", "attempt.saved", "job.reported"]


@WHOLE
@pytest.mark.parametrize("name", PHASES)
def test_containers_are_killed_in_a_phase(containers: Any, name: str) -> None:
    """Each of them, until the step has no try left; the run goes on once nobody kills any more."""
    table = containers()
    table.register(CORE_FAILPOINTS=f"{name}=kill:{table.folder}/fired")
    said, _ = table.begin().communicate(timeout=60)
    assert (table.folder / "fired").read_text().split()[0] == name
    reported = name == "job.reported"
    assert table.settled() == ("completed" if reported else "failed"), said
    assert not table.mine()
    table.register()
    assert table.complete(said) == (not reported)
    table.check()


@WHOLE
@pytest.mark.parametrize("seed", range(12))
def test_killed_at_random_then_resumed(containers: Any, seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - the same each time
    table = containers(draw.choice(list(harness.SHAPES)))
    process = table.begin()
    try:
        for _ in range(3):
            time.sleep(draw.uniform(0.3, 3.0))
            running = [found.attrs["State"]["Pid"] for found in table.mine() if found.status == "running"]
            if running and draw.random() < 0.6:
                with suppress(ProcessLookupError):  # it has ended just now
                    os.kill(draw.choice(running), signal.SIGKILL)
            else:
                process.kill()
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    table.complete(said)
    table.check()


class Mortal:
    """An engine that a test may kill and start again; its containers have no network."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.address = str(folder / "docker.sock")
        self._log = folder / "log"
        self._command = [program("dockerd"), "-H", f"unix://{self.address}", "--shutdown-timeout", "2"]
        self._command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
        self._command += ["-p", str(folder / "pid"), "--bridge", "none", "--iptables=false"]
        self.start()

    def start(self) -> None:
        """Once more, and until it answers: as an init system does, which starts one again that could not."""
        ends = time.monotonic() + 60
        while not answers(self.address):
            assert time.monotonic() < ends, self._log.read_text()[-2000:]
            if self.process is None or self.process.poll() is not None:
                with self._log.open("ab") as log:
                    self.process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
            time.sleep(0.1)

    def kill(self) -> None:
        """As a person does with `kill -9`, or a machine without memory; its containers go on, with nobody to tell of them."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """For good; what a killed one had mounted is freed, so that its folder can be removed."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)
        subprocess.run(["/bin/sh", "-c", LEFT, str(self._log.parent), "no-bridge"], check=True)


@pytest.fixture
def mortal(docker_engine: DockerEngine) -> Iterator[Mortal]:  # the other one tells whether there can be any
    with tempfile.TemporaryDirectory(prefix="core-mortal-") as folder:  # short: paths of sockets must be
        engine = Mortal(Path(folder, "engine"))
        yield engine
        engine.end()


@WHOLE
@pytest.mark.parametrize("seed", range(6))
def test_the_engine_is_killed_and_comes_back(tmp_path: Path, mortal: Mortal, base_image: str, seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - the same each time
    table = Containers(tmp_path, "", DockerEngine(f"unix://{mortal.address}", "", ""), base_image)
    process = table.begin()
    try:
        time.sleep(draw.uniform(0.2, 4.0))
        mortal.kill()
        time.sleep(draw.uniform(0.0, 8.0))
        mortal.start()
        said, _ = process.communicate(timeout=120)
        table.complete(said)
        table.check()
        assert table.traces().keys() == {"start", "failed", "a", "b", "merge"}
    finally:
        process.kill()
        process.wait()
        table.client.close()


@WHOLE
@pytest.mark.parametrize("name", ["container.created", "container.started", "container.told", "job.launched"])
def test_the_engine_is_killed_in_a_phase(tmp_path: Path, mortal: Mortal, base_image: str, name: str) -> None:
    """The driver is held there while the engine is away, and does not know."""
    table = Containers(tmp_path, "", DockerEngine(f"unix://{mortal.address}", "", ""), base_image)
    process = table.begin(CORE_FAILPOINTS=f"{name}=sleep:4@1")
    try:
        ends = time.monotonic() + 60
        while not table.mine():
            assert time.monotonic() < ends
            time.sleep(0.05)
        time.sleep(1.0)
        mortal.kill()
        time.sleep(0.5)
        mortal.start()
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        table.check()
        assert table.traces().keys() == {"start", "failed", "a", "b", "merge"}
    finally:
        process.kill()
        process.wait()
        table.client.close()
