"""The `docker` orchestrator on a real engine: the suite, runs of steps in containers, and how they fail."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

import core
from core import Resources, RunFailed, pipeline
from core.builtin.orchestrators.docker import DockerOrchestrator
from core.builtin.orchestrators.settings import DockerSettings
from core.builtin.stores.local import LocalArtifactStore
from core.errors import ImageUnavailable, InfrastructureError
from core.model.job import Job
from core.schedule.work import Yard
from core.stack import Stack
from core.testing.suites.orchestrator import OrchestratorSuite
from core.testing.suites.runs import SHAPES, RunSuite
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.testing.engines.docker import DockerEngine

FULL = os.environ.get("CORE_FAULTS") == "1"
"""Whether the whole suite of runs is wanted (`make test-faults`) or the part that each change plays."""
HERE = os.path.dirname(__file__)
MISSING = "localhost:1/nobody/nothing@sha256:" + "0" * 64
sys.path.append(HERE)
flows: Any = import_module("jobs_flow")


@pytest.fixture
def docker(docker_engine: DockerEngine, base_image: str, tmp_path: Path) -> Iterator[DockerOrchestrator]:
    """Containers of the base image that see this checkout under its own path; none is left behind."""
    packages = sysconfig.get_path("purelib")
    source = str(Path(core.__file__).parent.parent)
    settings = DockerSettings(
        host=docker_engine.host,
        image=base_image,
        environment={"PYTHONPATH": f"{source}:{packages}:{HERE}", "TRACE": str(tmp_path / "trace")},
        volumes={path: f"{path}:ro" for path in (packages, source, HERE)} | {str(tmp_path): str(tmp_path)},
        slots=4,
    )
    orchestrator = DockerOrchestrator(settings)
    yield orchestrator
    left = orchestrator._client().containers(all=True, filters={"label": [f"core.test={tmp_path}"]})
    for found in left:
        orchestrator._remove(found["Id"])
    orchestrator.close()


class TestDocker(OrchestratorSuite):
    """The suite."""

    @pytest.fixture
    def orchestrator(self, docker: DockerOrchestrator, tmp_path: Path) -> DockerOrchestrator:
        self.tag = str(tmp_path)
        return docker

    def job(self, name: str, code: str) -> Job:
        return Job(f"{self.tag}/{name}", ("python", "-c", code), labels={"test": self.tag})


@pytest.fixture
def stack(
    docker: DockerOrchestrator, monkeypatch: pytest.MonkeyPatch, core_home: Path, tmp_path: Path
) -> Iterator[DockerOrchestrator]:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    monkeypatch.setattr(Workspace, "stack", Stack("docker", docker, LocalArtifactStore(str(core_home / "artifacts"))))
    yield docker
    every = docker._client().containers(all=True, filters={"label": ["core.run"]})
    left = [found for found in every if str(tmp_path) in str(found["Mounts"])]  # others use the engine, too
    assert not left, f"left behind: {[found['Names'] for found in left]}"


class TestRuns(RunSuite):
    """Behaviours of steps on graphs of every shape, in containers."""

    timeout = 3.0

    @pytest.fixture(params=SHAPES if FULL else ["diamond"])
    def shape(self, request: pytest.FixtureRequest) -> str:
        if not FULL and request.function.__name__ not in {"test_dies", "test_is_cancelled"}:
            pytest.skip("CORE_FAULTS=1 plays the whole suite")
        return str(request.param)

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        super().place.__wrapped__(self, tmp_path, monkeypatch)
        monkeypatch.setenv("CORE_HOME", str(tmp_path / "core-home"))
        if FULL or request.function.__name__ in {"test_dies", "test_is_cancelled"}:
            request.getfixturevalue("stack")


@pytest.mark.usefixtures("stack")
def test_steps_run_in_containers(tmp_path: Path) -> None:
    run = flows.flow(size=4)
    assert run.state == "completed"
    assert run.steps["work"].outputs["output"].load() == 6
    assert run.steps["make"].log() == "making 4\n"
    assert Counter((tmp_path / "trace").read_text().split()) == {"make": 1, "sum": 1}


@pytest.mark.usefixtures("stack")
def test_failures_are_told_apart() -> None:
    retry, memory = flows.Retry(attempts=1, delay=0.01, infrastructure=1), Resources(memory="64MiB")

    @pipeline
    def failing() -> None:
        for how in ("exit", "killed", "eat"):
            flows.work.with_options(name=how, retry=retry, resources=memory)([1], how)

    with pytest.raises(RunFailed) as caught:
        failing()
    steps = caught.value.run.steps
    told = {name: ((step.error or {})["type"], len(step.attempts)) for name, step in steps.items()}
    assert told == {"exit": ("StepCrashed", 1), "killed": ("JobLost", 2), "eat": ("OutOfMemory", 1)}
    assert "limit 0.0625 GiB" in (steps["eat"].error or {})["message"]
    assert "exit code 9" in (steps["exit"].error or {})["message"]


def test_an_image_that_is_not_there(docker: DockerOrchestrator, tmp_path: Path) -> None:
    job = Job(f"{tmp_path}/none", ("python",), image=MISSING)
    with pytest.raises(ImageUnavailable, match="can't be pulled"):
        docker.launch(job)


def attempts() -> list[tuple[str, str]]:
    """What became of each attempt of a step whose own failures are final and the infrastructure's are not."""
    retry = flows.Retry(attempts=1, delay=0.01, infrastructure=1)

    @pipeline
    def flow() -> None:
        flows.work.with_options(retry=retry)([1])

    try:
        run = flow()
    except RunFailed as error:
        run = error.run
    return [(attempt.state, (attempt.error or {}).get("type", "")) for attempt in run.steps["work"].attempts]


def test_an_image_that_comes_late(stack: DockerOrchestrator, monkeypatch: pytest.MonkeyPatch) -> None:
    there, pull, pulls = stack.image, stack._pull, iter(range(3))

    def late(client: Any, image: str) -> None:
        if next(pulls) < 2:  # when the run begins, and at the first attempt
            pull(client, image)
        client.tag(there, image)

    monkeypatch.setattr(stack, "_pull", late)
    stack.image = "localhost:1/nobody/late"
    assert attempts() == [("failed", "ImageUnavailable"), ("completed", "")]


def test_a_tag_that_moves_changes_nothing(stack: DockerOrchestrator, tmp_path: Path) -> None:
    """Neither when the run goes on: it has the image that the tag named when it began, which nobody names any more."""
    client, name = stack._client(), f"moving-{os.getpid()}"
    client.tag(stack.image, name)
    stack.image = name
    with pytest.raises(RunFailed) as caught:
        flows.failing(str(tmp_path / "good"))
    (image,) = caught.value.run.images
    assert image["reference"] == client.inspect_image(name)["Id"]
    assert image["steps"] == ["fails"]
    client.remove_image(name)
    (tmp_path / "good").touch()
    run = caught.value.run.resume()
    assert (run.state, len(run.steps["fails"].attempts)) == ("completed", 2)


def test_an_image_that_never_comes(stack: DockerOrchestrator) -> None:
    stack.image = MISSING
    assert attempts() == 2 * [("failed", "ImageUnavailable")]


def test_an_engine_that_stays_away(stack: DockerOrchestrator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    away = DockerOrchestrator(DockerSettings(host=f"unix://{tmp_path}/none.sock", image=stack.image))
    monkeypatch.setattr(Workspace, "stack", Stack("away", away, Workspace.stack.artifact_store))
    monkeypatch.setattr("core.schedule.work.Yard", partial(Yard, patience=0.3))
    assert attempts() == 2 * [("failed", "InfrastructureError")]


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    docker = DockerOrchestrator(DockerSettings(host=f"unix://{tmp_path}/none.sock"))
    with pytest.raises(InfrastructureError, match="can't be reached"):
        docker.verify()


def test_nothing_of_the_bundle_is_shown(docker: DockerOrchestrator, tmp_path: Path) -> None:
    job = Job(f"{tmp_path}/told", ("python", "-c", "import sys; sys.stdin.read()"), labels={"test": str(tmp_path)})
    handle = docker.launch(job._replace(bundle=b"canary-in-the-bundle"))
    assert "canary" not in str(docker._client().inspect_container(handle.data["container"]))


@pytest.mark.skipif(not FULL, reason="CORE_FAULTS=1 plays the whole table")
def test_a_container_that_is_stopped_goes_on_from_its_checkpoint(stack: DockerOrchestrator, tmp_path: Path) -> None:
    """As with `docker stop`: SIGTERM, and ten seconds."""
    client, path = stack._client(new=True), tmp_path / "trace"

    def stop() -> None:
        while not path.exists():
            time.sleep(0.05)
        every = client.containers(filters={"label": ["core.step=patient"]})
        for found in every:
            if str(tmp_path) in str(found["Mounts"]):
                client.stop(found["Id"], timeout=10)

    thread = Thread(target=stop)
    thread.start()
    run = flows.taken_away()
    thread.join()
    client.close()
    assert [str(attempt.state) for attempt in run.steps["patient"].attempts] == ["preempted", "completed"]
    assert [run.steps["patient"].log(number) for number in (1, 2)] == ["from 0\n", "from 41\n"]
    assert run.steps["patient"].outputs["output"].load() == 42


def test_what_nobody_wants_any_more_is_removed(
    docker: DockerOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers whose deadline is over, at work or not; those that were never started, after a while; no others."""
    client, now = docker._client(), time.time()

    def job(name: str, deadline: float | None) -> Job:
        code = "import time; time.sleep(60)"
        return Job(f"{tmp_path}/{name}", ("python", "-c", code), labels={"test": str(tmp_path)}, deadline=deadline)

    for name, deadline in {"over": now - 1, "due": now + 600, "endless": None}.items():
        docker.launch(job(name, deadline))
        docker._created(client, job(f"{name}, not started", deadline), docker.image)
    label = {"core.test": str(tmp_path)}
    client.create_container(docker.image, ["true"], labels=label, name=f"core-stranger-{os.getpid()}")

    def left() -> list[str]:
        found = client.containers(all=True, filters={"label": [f"core.test={tmp_path}"]})
        return sorted(one["Labels"].get("core.job", "stranger").rpartition("/")[2] for one in found)

    docker.prepare("another run")
    assert left() == ["due", "due, not started", "endless", "endless, not started", "stranger"]
    mine = client.containers(all=True, filters={"label": [f"core.test={tmp_path}", "core.deadline"]})
    with monkeypatch.context() as patch:
        patch.setattr(client, "containers", lambda **_: mine)  # others launch theirs at this moment
        patch.setattr("core.builtin.orchestrators.docker.STALLED", -60.0)
        docker.prepare("another run")
    assert left() == ["due", "endless", "stranger"]
