"""Images made for real: a Docker engine, a registry, and containers that import what was sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import docker
import pytest

from core import ImageSettings
from core.builtin.image_builders.registry import RegistryImageBuilder
from core.builtin.orchestrators.docker import DockerOrchestrator
from core.builtin.orchestrators.settings import DockerSettings
from core.builtin.registries.oci import OciRegistry
from core.builtin.registries.settings import RegistrySettings
from core.builtin.stores.local import LocalArtifactStore
from core.image.ensure import Wish, ensure_images
from core.image.voice import Voice
from core.stack import Stack
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.image.made import Made
    from core.testing.engines.docker import DockerEngine
    from core.testing.engines.registry import RegistryServer

FLOW = """
from core import ImageSettings, pipeline, step
import helper

@step
def say() -> str:
    return helper.WORD

@pipeline
def flow():
    say()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a pipeline in `flow.py`."""
    root = tmp_path / "my project"
    (root / "lib").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\ndependencies = []\n")
    (root / "flow.py").write_text(FLOW)
    (root / "lib" / "helper.py").write_text("WORD = 'größe'\n")
    (root / "data ä.txt").write_text("data")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [str(root), str(root / "lib"), *sys.path])
    yield root
    for name in ("flow", "helper"):
        sys.modules.pop(name, None)


@pytest.fixture
def make(
    project: Path,
    tmp_path: Path,
    base_image: str,
    docker_engine: DockerEngine,
    oci_registry: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[list[Made], list[str]]]:
    """Makes the images of the project; gives them, and what was said."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)

    def call(image: ImageSettings | None = None, builder: object = None) -> tuple[list[Made], list[str]]:
        import flow

        said: list[str] = []
        compiled = flow.flow.compile({})
        wish = Wish(
            compiled.specs, "flow", image or ImageSettings(base_image=base_image),
            OciRegistry(RegistrySettings(uri=f"{oci_registry.host}/team")), builder or RegistryImageBuilder(), [],
            str(tmp_path / "home"), lambda data, _: data,
        )  # fmt: skip
        with Voice(said.append) as voice:
            return ensure_images(wish, voice), said

    return call


def run(engine: DockerEngine, image: str, code: str) -> str:
    client = docker.DockerClient(base_url=engine.host)
    try:
        return client.containers.run(image, ["python", "-c", code], remove=True, network_mode="none").decode().strip()
    finally:
        client.close()


def test_code_travels_and_is_imported_as_here(make, project: Path, docker_engine: DockerEngine):
    (made,), said = make()
    assert made.environment.action == "built"
    assert any("environment  building: not built before; requirements from pyproject.toml" in line for line in said)
    code = "import flow, os, getpass, core; print(flow.say(), sorted(set(os.listdir()) - {'__pycache__'}), os.getuid(), getpass.getuser(), core.__version__)"
    assert run(docker_engine, made.reference, code).startswith(
        "größe ['data ä.txt', 'flow.py', 'lib', 'pyproject.toml'] 1000 core 0.1"
    )
    (again,), said = make()
    assert again.reference == made.reference
    assert (again.environment.action, again.code.action) == ("reused", "reused")
    (project / "lib" / "helper.py").write_text("WORD = 'new'\n")
    (third,), said = make()
    assert (third.environment.action, third.code.action) == ("reused", "pushed")
    assert run(docker_engine, third.reference, "import flow; print(flow.say())") == "new"


@pytest.fixture
def stack(
    project: Path,
    docker_engine: DockerEngine,
    oci_registry: RegistryServer,
    core_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """The active stack: the engine, a registry, a store on this machine."""
    docker = DockerOrchestrator(DockerSettings(host=docker_engine.host))
    registry = OciRegistry(RegistrySettings(uri=f"{oci_registry.host}/team"))
    store = LocalArtifactStore(str(core_home / "artifacts"))
    stack = Stack("containers", docker, store, registry)
    monkeypatch.setattr(Workspace, "stack", stack)
    monkeypatch.setenv("CORE_DISPLAY", "plain")
    yield stack
    docker.close()


@pytest.mark.usefixtures("stack")
def test_a_run_makes_its_images_first(project: Path, base_image: str, capfd: pytest.CaptureFixture[str]):
    import flow

    flowing = flow.flow.with_options(image=ImageSettings(base_image=base_image))
    run = flowing()
    assert run.steps["say"].outputs["output"].load() == "größe"
    (image,) = run.images
    assert image["steps"] == ["say"]
    assert "@sha256:" in image["reference"]
    said = capfd.readouterr().err
    assert "  image        " in said
    assert "environment" in said
