"""Images made for real: a Docker engine, a registry, and containers that import what was sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from core import ImageSettings, RunFailed
from core.builtin.image_builders.docker import DockerImageBuilder
from core.builtin.image_builders.registry import RegistryImageBuilder
from core.builtin.image_builders.settings import BuilderSettings
from core.builtin.orchestrators.docker import DockerOrchestrator
from core.builtin.orchestrators.settings import DockerSettings
from core.builtin.registries.oci import OciRegistry
from core.builtin.registries.settings import RegistrySettings
from core.builtin.stores.local import LocalArtifactStore
from core.cli import main
from core.errors import AuthenticationError, ConfigurationError, ImageUnavailable, InfrastructureError, NotFoundError
from core.model.spec import Retry, RunOptions
from core.oci.image import read_image
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.stack import Stack
from core.testing.engines.proxy import Fault
from core.testing.tiny_image import push_tiny_image
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.testing.engines.docker import DockerEngine
    from core.testing.engines.registry import RegistryServer

FLOW = """
import os
from core import pipeline, step
import helper

@step(cache=False)
def say() -> str:
    if helper.WORD == "wrong":
        raise ValueError(helper.WORD)
    return f"{helper.WORD} {os.environ.get('MODE', '')}".strip()

@pipeline
def flow():
    say()
"""
FULL = pytest.mark.skipif(os.environ.get("CORE_FAULTS") != "1", reason="CORE_FAULTS=1 plays the whole table")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a pipeline in `flow.py`; the working folder."""
    root = tmp_path / "my project"
    (root / "lib").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\ndependencies = []\n")
    (root / "flow.py").write_text(FLOW)
    (root / "lib" / "helper.py").write_text("WORD = 'größe'\n")
    (root / "data ä.txt").write_text("data")
    (root / ".env").write_text("PASSWORD=geheim")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [str(root), str(root / "lib"), *sys.path])
    yield root
    for name in ("flow", "helper"):
        sys.modules.pop(name, None)


class Place:
    """The active stack: an engine, a registry, a store on this machine; and a pipeline in a project."""

    def __init__(self, stack: Stack, base: str, engine: str) -> None:
        self.stack, self.base, self.engine = stack, base, engine

    def flow(self, image: ImageSettings | None = None) -> Any:
        """The pipeline of the project as it is now, on the base image unless `image` says something else."""
        for name in ("flow", "helper"):
            sys.modules.pop(name, None)
        import flow

        return flow.flow.with_options(image=image or ImageSettings(base_image=self.base))

    def in_container(self, image: str, code: str) -> str:
        """What a container of the image prints."""
        client = docker.DockerClient(base_url=self.engine)
        try:
            return client.containers.run(image, ["python", "-c", code], remove=True, network_mode="none").decode()
        finally:
            client.close()


@pytest.fixture
def place(
    project: Path,
    docker_engine: DockerEngine,
    oci_registry: RegistryServer,
    base_image: str,
    core_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """The stack, made the active one."""
    engine = DockerOrchestrator(DockerSettings(host=docker_engine.host))
    engine.name = "boxes"
    registry = OciRegistry(RegistrySettings(uri=f"{oci_registry.host}/team"))
    stack = Stack("containers", engine, LocalArtifactStore(str(core_home / "artifacts")), registry)
    monkeypatch.setattr(Workspace, "stack", stack)
    monkeypatch.setenv("CORE_DISPLAY", "plain")
    yield Place(stack, base_image, docker_engine.host)
    engine.close()


def test_a_run_makes_its_image_and_code_alone_is_sent_again(place: Place, project: Path, capfd: Any):
    run = place.flow()()
    (image,) = run.images
    said = capfd.readouterr().err
    assert main(["runs", "show", run.id]) == 0
    assert f"image       {image['reference']}  (say)" in capfd.readouterr().out
    assert run.steps["say"].outputs["output"].load() == "größe"
    assert run.to_data()["images"] == {"say": image["reference"]}
    code = "import os, getpass; print(sorted(set(os.listdir()) - {'__pycache__'}), os.getuid(), getpass.getuser())"
    files = "['data ä.txt', 'flow.py', 'lib', 'pyproject.toml']"
    assert place.in_container(image["reference"], code) == f"{files} 1000 core\n"
    assert "left out .env (keys and environments never travel)" in said
    place.flow()()
    assert "environment reused (unchanged)  code reused (the same 4 files)" in capfd.readouterr().err
    (project / "lib" / "helper.py").write_text("WORD = 'new'\n")
    assert place.flow()().steps["say"].outputs["output"].load() == "new"
    assert "environment reused (unchanged)  code pushed (4 files, " in capfd.readouterr().err


def test_steps_that_need_the_same_share_an_image(place: Place, capfd: Any):
    import flow

    from core import pipeline

    @pipeline(image=ImageSettings(base_image=place.base))
    def several():
        flow.say.with_options(name="one")()
        flow.say.with_options(name="two", image=ImageSettings())()
        flow.say.with_options(name="three", image=ImageSettings(environment={"MODE": "fast"}))()

    run = several()
    assert [image["steps"] for image in run.images] == [["one", "two"], ["three"]]
    assert [step.outputs["output"].load() for step in run.steps.values()] == ["größe", "größe", "größe fast"]
    assert capfd.readouterr().err.count("  image  ") == 2


def test_labels_tell_where_it_comes_from(place: Place, project: Path):
    git = ["git", "-C", str(project), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], ["add", "flow.py"], ["commit", "-q", "-m", "first"]):  # the other files are new
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    run = place.flow()()
    reference = parse_reference(run.images[0]["reference"])
    with Repository(reference) as repository:
        image = read_image(repository, reference.digest, "")
    labels = image.settings["Labels"]
    assert labels["core.pipeline"] == "flow"
    assert (labels["core.git.commit"], labels["core.git.dirty"]) == (head, "true")
    assert len(labels["core.run"]) == 36
    assert (image.settings["User"], image.settings["WorkingDir"]) == ("1000:1000", "/app")
    assert image.config["history"][-1]["created_by"] == "core: code"


def test_a_resumed_run_asks_no_tag_again(place: Place, project: Path, oci_registry: RegistryServer):
    with Repository(parse_reference(f"{oci_registry.host}/core/base"), push=True) as bases:
        base = bases.manifest(place.base.partition("@")[2])
        bases.put_manifest(json.dumps(dict(base.data)).encode(), base.media_type, "moving")
        tag = f"{bases.reference}:moving"
        (project / "lib" / "helper.py").write_text("WORD = 'wrong'\n")
        with pytest.raises(RunFailed) as caught:
            place.flow(ImageSettings(base_image=tag))()
        push_tiny_image(bases, "moving")
    run = caught.value.run
    (project / "lib" / "helper.py").write_text("WORD = 'mended'\n")
    with Workspace() as workspace:
        from core.resume import resume

        again = resume(workspace, run.id, place.flow(ImageSettings(base_image=tag)))
    assert again.steps["say"].outputs["output"].load() == "mended"
    before, after = again.images
    assert before["base"] == after["base"]
    assert before["reference"] != after["reference"]


def test_an_image_that_was_removed_is_made_again_for_a_run_that_goes_on(
    place: Place, oci_registry: RegistryServer, monkeypatch: pytest.MonkeyPatch, capfd: Any
):
    """In a repository of its own: others share images with whoever has the same files."""
    from core.resume import resume

    registry = OciRegistry(RegistrySettings(uri=f"{oci_registry.host}/removed-from"))
    stack = Stack("containers", place.stack.orchestrator, place.stack.artifact_store, registry)
    monkeypatch.setattr(Workspace, "stack", stack)
    run = place.flow()()
    recorded = run.images[0]["reference"]
    reference = parse_reference(recorded)
    with Repository(reference, push=True) as repository:
        assert (
            repository.http.ask(
                "DELETE", f"http://{reference.host}/v2/{reference.repository}/manifests/{reference.digest}"
            ).status
            == 202
        )
    client = docker.DockerClient(base_url=place.engine)
    client.images.remove(recorded, force=True)
    client.close()
    with Workspace() as workspace:
        again = resume(workspace, run.id, place.flow(), retry=["say"])
    assert again.state == "completed"
    assert f"{recorded}, which the run had, is not there any more" in capfd.readouterr().err


def test_building_without_a_run_tells_digests_and_why(place: Place, project: Path, capfd: Any):
    (project / "built.py").write_text(
        f"from core import ImageSettings, pipeline\nfrom flow import say\n\n"
        f"@pipeline(image=ImageSettings(base_image={place.base!r}))\ndef built():\n    say()\n"
    )
    assert main(["pipeline", "build", "built.py:built", "-o", "json"]) == 0
    told = json.loads(capfd.readouterr().out)
    (image,) = told["images"]
    assert (told["pipeline"], told["stack"], image["steps"]) == ("built", "containers", ["say"])
    assert image["reference"].startswith(f"{place.stack.container_registry.uri}/core@sha256:")
    assert (image["code"]["action"], image["code"]["reason"]) == ("pushed", "5 files")
    assert main(["pipeline", "build", "built.py:built"]) == 0
    out = capfd.readouterr().out
    assert image["reference"] in out
    assert "reused (the same 5 files)" in out
    with Workspace() as workspace:
        assert not workspace.tracking.runs()


def test_no_engine_is_needed_once_the_environment_is_there(place: Place, project: Path, monkeypatch: Any):
    place.flow()()
    builder = RegistryImageBuilder(host="unix:///nowhere/docker.sock")
    monkeypatch.setattr(place.stack, "image_builder", builder)
    (project / "lib" / "helper.py").write_text("WORD = 'without'\n")
    assert place.flow()().steps["say"].outputs["output"].load() == "without"
    with pytest.raises(
        ConfigurationError, match=r"environment 'env-.*' is not in .* and no Docker engine is in reach"
    ) as caught:
        place.flow(ImageSettings(base_image=place.base, environment={"OTHER": "1"}))()
    assert "core pipeline build FILE:PIPELINE" in caught.value.hint
    builder.close()


def test_without_a_registry_images_stay_on_the_engine(place: Place, monkeypatch: Any, capfd: Any):
    monkeypatch.setattr(place.stack, "container_registry", None)
    run = place.flow()()
    assert run.steps["say"].outputs["output"].load() == "größe"
    assert run.images[0]["reference"].startswith("sha256:")
    local = ImageSettings(base_image=run.images[0]["reference"], skip_build=True)
    assert place.flow(local)().steps["say"].outputs["output"].load() == "größe"
    assert "given (used as it is)" in capfd.readouterr().err


def test_a_ready_image_is_used_as_it_is(place: Place):
    made = place.flow()().images[0]["reference"]
    run = place.flow(ImageSettings(base_image=made, skip_build=True))()
    assert run.images[0]["reference"] == made
    assert run.steps["say"].outputs["output"].load() == "größe"


def _nothing_ran() -> bool:
    with Workspace() as workspace:
        return not workspace.tracking.runs()


def test_a_dockerfile_that_fails_is_told_by_its_last_lines(place: Place, project: Path):
    (project / "Dockerfile").write_text(f"FROM {place.base}\nRUN echo looking; echo no such thing >&2; exit 3\n")
    with pytest.raises(ConfigurationError, match="can't be built; the last lines of the build:") as caught:
        place.flow(ImageSettings(dockerfile="Dockerfile"))()
    assert "no such thing" in caught.value.message
    assert "exit code: 3" in caught.value.message
    assert _nothing_ran()


def test_requirements_that_do_not_resolve_are_told_in_pips_words(place: Place):
    with pytest.raises(ConfigurationError, match="No matching distribution found for no-such-thing==1"):
        place.flow(ImageSettings(base_image=place.base, requirements=("--no-index", "no-such-thing==1")))()
    assert _nothing_ran()


@pytest.mark.parametrize("name", ["core/base:none", "nobody/nothing"])
def test_a_base_that_is_not_there_is_named(place: Place, oci_registry: RegistryServer, name: str):
    with pytest.raises(NotFoundError, match=f"there is no base image '{oci_registry.host}/{name}"):
        place.flow(ImageSettings(base_image=f"{oci_registry.host}/{name}"))()
    assert _nothing_ran()


def test_a_base_of_another_platform_is_refused(place: Place, oci_registry: RegistryServer):
    with Repository(parse_reference(f"{oci_registry.host}/test/other"), push=True) as repository:
        digest = push_tiny_image(repository, architecture="s390x")
    with pytest.raises(ConfigurationError, match=r"is not for linux/.*; it is for linux/s390x"):
        place.flow(ImageSettings(base_image=f"{repository.reference}@{digest}"))()
    assert _nothing_ran()


def test_a_registry_that_lets_nobody_in_is_told_before_anything_ran(
    place: Place, oci_registry_basic: RegistryServer, monkeypatch: Any
):
    wrong = RegistrySettings(uri=oci_registry_basic.host, username="somebody", password="wrong")  # type: ignore[arg-type]  # noqa: S106
    monkeypatch.setattr(place.stack, "container_registry", OciRegistry(wrong))
    with pytest.raises(AuthenticationError, match=f"registry '?{oci_registry_basic.host}'?"):
        place.flow()()
    assert _nothing_ran()


def test_a_registry_that_is_down_is_told_before_anything_ran(place: Place, monkeypatch: Any):
    monkeypatch.setattr("core.oci.http.FIRST", 0.01)
    monkeypatch.setattr(place.stack, "container_registry", OciRegistry(RegistrySettings(uri="127.0.0.1:9/team")))
    with pytest.raises(InfrastructureError, match=r"registry '127.0.0.1:9' can't be reached: Connection refused"):
        place.flow()()
    assert _nothing_ran()


def test_an_image_that_vanished_fails_the_step_as_such(place: Place, oci_registry: RegistryServer):
    gone = f"{oci_registry.host}/team/core@sha256:{'0' * 64}"
    flow = place.flow(ImageSettings(base_image=gone, skip_build=True))
    with pytest.raises(RunFailed) as caught:
        flow.run({}, RunOptions(steps={"say": {"retry": Retry(infrastructure=0)}}))
    assert isinstance(caught.value.__cause__, ImageUnavailable)


@FULL
def test_build_secrets_are_in_no_layer_and_no_history(place: Place, project: Path, tmp_path: Path):
    word = "correct-horse-battery"
    (tmp_path / "word").write_text(word)
    assert main(["secret", "create", "mine", f"--token=@{tmp_path / 'word'}"]) == 0
    (project / "Dockerfile").write_text(
        f"FROM {place.base}\nRUN --mount=type=secret,id=token grep -q horse /run/secrets/token && touch /seen\n"
    )
    run = place.flow(ImageSettings(dockerfile="Dockerfile", build_secrets={"token": "{{mine.token}}"}))()
    image = run.images[0]["reference"]
    assert place.in_container(image, "import os; print(os.path.exists('/seen'))") == "True\n"
    client = docker.APIClient(base_url=place.engine)
    assert word not in str(client.history(image)) + str(client.inspect_image(image))
    assert word.encode() not in b"".join(client.get_image(image))
    client.close()
    with pytest.raises(NotFoundError, match="build_secrets of the image settings"):
        place.flow(ImageSettings(base_image=place.base, build_secrets={"token": "{{mine.other}}"}))()


@FULL
def test_the_engine_pulls_with_the_login_of_the_registry(
    place: Place, oci_registry_basic: RegistryServer, monkeypatch: Any
):
    about = oci_registry_basic
    login = RegistrySettings(uri=f"{about.host}/team", username=about.username, password=about.password)  # type: ignore[arg-type]
    monkeypatch.setattr(place.stack, "container_registry", OciRegistry(login))
    monkeypatch.setenv("DOCKER_CONFIG", "/nowhere")
    run = place.flow()()
    assert run.images[0]["reference"].startswith(f"{about.host}/team/core@sha256:")
    assert run.steps["say"].outputs["output"].load() == "größe"


@FULL
def test_a_full_registry_is_told_and_once_it_has_room_all_is_well(
    place: Place, fault_proxy: Any, oci_registry: RegistryServer, monkeypatch: Any
):
    proxy = fault_proxy(f"http://{oci_registry.host}")
    place.flow()()
    uri = f"{proxy.url.removeprefix('http://')}/team"
    monkeypatch.setattr(place.stack, "container_registry", OciRegistry(RegistrySettings(uri=uri)))
    proxy.fail(Fault("PUT", "blobs", status=500, body="no space left on device"))
    (Path("lib") / "helper.py").write_text("WORD = 'much'\n")
    with pytest.raises(InfrastructureError, match="answered 500"):
        place.flow()()
    proxy.fail()
    assert place.flow()().steps["say"].outputs["output"].load() == "much"


@FULL
@pytest.mark.parametrize("buildkit", [True, False])
def test_an_engine_builds_and_pushes_all_by_itself(place: Place, project: Path, monkeypatch: Any, *, buildkit: bool):
    if not buildkit:
        monkeypatch.setattr("core.builtin.image_builders.engine.Buildkit.find", lambda *_: None)
    builder = DockerImageBuilder(BuilderSettings(host=place.engine, repository="engine/own"))
    monkeypatch.setattr(place.stack, "image_builder", builder)
    image = ImageSettings(base_image=place.base, environment={"KIT": str(buildkit)})
    run = place.flow(image)()
    assert "/engine/own@sha256:" in run.images[0]["reference"]
    (project / "lib" / "helper.py").write_text("WORD = 'changed'\n")
    assert place.flow(image)().steps["say"].outputs["output"].load() == "changed"
    (project / "Dockerfile").write_text(f"FROM {place.base}\nRUN echo no such thing; exit 3\n")
    with pytest.raises(ConfigurationError, match="no such thing"):
        place.flow(ImageSettings(dockerfile="Dockerfile"))()
    builder.close()
