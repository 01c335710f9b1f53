"""The fixtures and the two hooks that open and close the folder that a session's engines share."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from core.testing.engines.aws import VARIABLES, Aws, start_aws, start_ecr
from core.testing.engines.base import push_base_image
from core.testing.engines.docker import DockerEngine, start_docker
from core.testing.engines.proxy import FaultProxy
from core.testing.engines.registry import RegistryServer, htpasswd, start_registry
from core.testing.engines.shared import Absent, Engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.testing.engines.cluster import ApiServer

REQUIRE = "CORE_TEST_REQUIRE_ENGINES"
ENGINES = pytest.StashKey[Engines]()


def missing(what: str) -> None:
    """Skip the running test because of `what`, or fail it where `CORE_TEST_REQUIRE_ENGINES=1`."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{what}, and {REQUIRE}=1")
    pytest.skip(what)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the session's folder; xdist's workers get the name of their controller's."""
    config.stash[ENGINES] = Engines.of_session(worker=hasattr(config, "workerinput"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what this session started."""
    config.stash[ENGINES].close()


@pytest.fixture
def engine() -> Callable[[str], str]:
    """Gives the path of a program that a test needs; without it the test is skipped, or fails where all must be."""

    def find(command: str) -> str:
        path = shutil.which(command)
        if path is None:
            missing(f"the program {command!r} is not installed")
        return path or ""

    return find


@pytest.fixture(scope="session")
def engines(pytestconfig: pytest.Config) -> Engines:
    """What starts an engine once for all workers: `engines.once(name, make)`."""
    return pytestconfig.stash[ENGINES]


@pytest.fixture(scope="session")
def oci_registry(engines: Engines) -> RegistryServer:
    """A container registry that lets everybody in."""
    return RegistryServer.from_data(_started(engines, "registry", start_registry))


@pytest.fixture(scope="session")
def oci_registry_basic(engines: Engines) -> RegistryServer:
    """A container registry that wants a name and a password (basic authentication)."""
    return RegistryServer.from_data(
        _started(engines, "registry-basic", lambda place: start_registry(place, htpasswd(place)))
    )


@pytest.fixture(scope="session")
def aws(engines: Engines) -> Aws:
    """AWS on this machine, with authorisation on: `aws.user()`, `aws.role()`, `aws.bucket()` make what a test wants."""
    return Aws.from_data(_started(engines, "aws", start_aws))


@pytest.fixture(scope="session")
def oci_registry_ecr(engines: Engines, aws: Aws) -> RegistryServer:
    """A container registry that takes ECR logins of `aws` only, for repositories that exist there."""
    return RegistryServer.from_data(_started(engines, "registry-ecr", lambda place: start_ecr(place, aws)))


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str], FaultProxy]]:
    """Makes a proxy before a server, such as `fault_proxy(aws.endpoint)`, that fails, slows and counts requests."""
    made: list[FaultProxy] = []

    def before(target: str) -> FaultProxy:
        made.append(FaultProxy(target))
        return made[-1]

    yield before
    for proxy in made:
        proxy.close()


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing of the person's own AWS account: gives the folder of new, empty configuration files."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "aws"
    folder.mkdir()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    return folder


@pytest.fixture(scope="session")
def kubernetes_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of Kubernetes over TLS, in this process: knows who asks, and no more."""
    from core.testing.engines.cluster import ApiServer  # most sessions need no certificates

    server = ApiServer(tmp_path_factory.mktemp("kubernetes-api"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def docker_engine(engines: Engines) -> DockerEngine:
    """A Docker engine of the tests' own, empty at first; `docker_engine.host` is for `DOCKER_HOST`."""
    return DockerEngine.from_data(_started(engines, "docker", start_docker))


@pytest.fixture(scope="session")
def base_image(engines: Engines, oci_registry: RegistryServer) -> str:
    """An image with this very Python and what core needs, but not core; by digest in `oci_registry`."""

    def make(_: object) -> dict[str, object]:
        return {"reference": push_base_image(oci_registry)}

    return str(_started(engines, "base", make)["reference"])


def _started(engines: Engines, name: str, make: Callable[..., dict[str, object]]) -> dict[str, object]:
    try:
        return engines.once(name, make)
    except Absent as absent:
        missing(str(absent))
        raise
