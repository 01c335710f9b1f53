"""The orchestrators that ship pass the suite that plugin authors use."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import docker
import pytest

from core.builtin.orchestrators.docker import state_of
from core.builtin.orchestrators.docker_config import container_config, container_name
from core.builtin.orchestrators.local import LocalOrchestrator
from core.builtin.orchestrators.settings import DockerSettings
from core.errors import ConfigurationError
from core.model.job import Job, JobCause
from core.model.spec import Resources
from core.testing.orchestrator import ProcessOrchestrator
from core.testing.suites.orchestrator import OrchestratorSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestLocal(OrchestratorSuite):
    """The in-process one."""

    @pytest.fixture
    def orchestrator(self) -> LocalOrchestrator:
        return LocalOrchestrator()


class TestProcess(OrchestratorSuite):
    """The double."""

    @pytest.fixture
    def orchestrator(self) -> Iterator[ProcessOrchestrator]:
        double = ProcessOrchestrator()
        yield double
        double.close()


@pytest.mark.parametrize(
    ("code", "finished", "cause"),
    [
        (143, "2026-11-25T13:00:01.123456789Z", JobCause.DEADLINE),
        (143, "2026-11-25T12:59:59.9Z", JobCause.EXIT),  # it was told to, and is looked at later
        (137, "2026-11-25T13:00:01.5Z", JobCause.EXIT),  # somebody else killed it
        (1, "2026-11-25T13:00:01Z", JobCause.EXIT),
    ],
)
def test_a_container_whose_deadline_was_over(code: int, finished: str, cause: JobCause) -> None:
    deadline = datetime(2026, 11, 25, 13, tzinfo=UTC).timestamp()
    state = {"Status": "exited", "ExitCode": code, "FinishedAt": finished}
    told = state_of({"State": state, "Config": {"Labels": {"core.deadline": str(deadline)}}})
    assert (told.exit_code, told.cause) == (code, cause)


def asked(job: Job, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the engine is asked for on behalf of a job: all of it, and its part that is the engine's machine's."""
    client = docker.APIClient(base_url="tcp://127.0.0.1:9", version="1.41")
    try:
        config = container_config(client, job, "image:1", DockerSettings(**settings))
    finally:
        client.close()
    return config, config["HostConfig"]


@pytest.mark.parametrize(("accelerators", "count"), [("A100", 1), ("A100:1", 1), ("nvidia-l4:12", 12)])
def test_a_container_gets_the_gpus_that_a_step_asks_for(accelerators: str, count: int) -> None:
    host = asked(Job("0197/train/1", ("python",), resources=Resources(accelerators=accelerators)))[1]
    (request,) = host["DeviceRequests"]
    assert (request["Count"], request["Capabilities"], request["DeviceIDs"]) == (count, [["gpu"]], [])


@pytest.mark.parametrize(
    ("resources", "limits"),
    [
        (None, (None, None, None)),
        (Resources(), (None, None, None)),
        (Resources(cpus=0.5), (500_000_000, None, None)),
        (Resources(cpus=3), (3_000_000_000, None, None)),
        (Resources(memory="16GiB"), (None, 2**34, 2**34)),  # no swap on top of it
        (Resources(cpus=2.25, memory="512MB"), (2_250_000_000, 512 * 10**6, 512 * 10**6)),
    ],
)
def test_a_container_may_use_what_a_step_asks_for(
    resources: Resources | None, limits: tuple[int | None, int | None, int | None]
) -> None:
    host = asked(Job("0197/train/1", ("python",), resources=resources))[1]
    assert tuple(host.get(name) for name in ("NanoCpus", "Memory", "MemorySwap")) == limits
    assert "DeviceRequests" not in host


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        (Resources(memory="much"), "memory 'much' is no size"),
        (Resources(accelerators="A100:two"), "accelerators 'A100:two' must be kind and count"),
        (Resources(accelerators="A100:"), "accelerators 'A100:' must be kind and count"),
        (Resources(accelerators="A100:-1"), "accelerators 'A100:-1' must be kind and count"),
    ],
)
def test_resources_that_are_none_are_told(resources: Resources, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        asked(Job("0197/train/1", ("python",), resources=resources))


def test_a_container_is_found_again_and_sees_its_folders(tmp_path: Path) -> None:
    job = Job("0197/train/1", ("python", "-c", "1"), {"A": "job's"}, labels={"run": "0197"}, deadline=5.0)
    config, host = asked(job, environment={"A": "all", "B": "all"}, network="mine", volumes={"/data": "/in:ro"})
    assert config["Labels"] == {"core.run": "0197", "core.job": "0197/train/1", "core.deadline": "5.0"}
    assert (sorted(config["Env"]), config["Entrypoint"]) == (["A=job's", "B=all"], [])
    assert (host["NetworkMode"], host["Binds"], config.get("User")) == ("mine", ["/data:/in:ro"], None)
    assert not host.get("AutoRemove")
    folder = str(tmp_path / "store")
    config, host = asked(job._replace(folders=(folder,)))
    assert (host["Binds"], config["User"]) == ([f"{folder}:{folder}"], f"{os.getuid()}:{os.getgid()}")
    assert asked(job._replace(folders=(folder,)), user="app")[0]["User"] == "app"
    assert container_name("0197/train/1") == container_name("0197/train/1") != container_name("0197/train/2")


def test_a_driver_reaches_the_engine_and_is_gone_when_it_ends(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.touch()
    host = asked(Job("0197/driver", ("python",), driver=True), host=f"unix://{socket}")[1]
    assert (host["AutoRemove"], host["Binds"]) == (True, [f"{socket}:{socket}"])
    assert host["GroupAdd"] == [str(socket.stat().st_gid)]
    assert asked(Job("0197/driver", ("python",), driver=True), host="tcp://there:1")[1]["Binds"] == []


def test_a_driver_is_no_container_of_the_run_that_its_image_was_made_for() -> None:
    """Images tell which run first wanted them, and containers have the labels of their images: ended with that run."""
    config, _ = asked(Job("0198/driver", ("python",), labels={"driver": "0198"}, driver=True))
    assert (config["Labels"]["core.run"], config["Labels"]["core.driver"]) == ("", "0198")
