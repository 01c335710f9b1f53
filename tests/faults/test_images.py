"""kill -9 of who makes an image, at each of its failpoints: nothing half is ever named in the registry; made again, it is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import faults_harness as harness
import pytest

from core import Client
from core.builtin.image_builders.engine import connect
from core.oci.image import read_image
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.ports.catalog import Entry
from core.settings import Settings
from core.testing.tiny_image import push_tiny_image
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.testing.engines.docker import DockerEngine
    from core.testing.engines.registry import RegistryServer

PUBLISH = """
import io, sys
from core.image.layer import pack
from core.oci.image import Changes, publish, read_image
from core.oci.reference import parse_reference
from core.oci.repository import Repository

packed = io.BytesIO()
layer = pack([b"x" * 3000], packed)
with Repository(parse_reference(sys.argv[1]), push=True) as repository:
    base = read_image(repository, "base", "")
    print(publish(repository, lambda: base, None, layer, packed, Changes(comment="code"), "code").digest)
"""


@pytest.fixture
def repository(oci_registry: RegistryServer, tmp_path: Path) -> Iterator[Repository]:
    """One of this test's own."""
    name = "".join(letter for letter in tmp_path.name.lower() if letter.isalnum())
    with Repository(parse_reference(f"{oci_registry.host}/{name}{os.getpid()}/core"), push=True) as made:
        yield made


def tags(repository: Repository) -> list[str]:
    """What of it has a name, without what follows the first hyphen."""
    url = f"http://{repository.reference.host}/v2/{repository.reference.repository}/tags/list"
    told = json.loads(repository.http.ask("GET", url).data)
    return sorted(tag.partition("-")[0] for tag in told.get("tags") or ())


def test_a_layer_that_went_up_is_no_image(repository: Repository) -> None:
    push_tiny_image(repository)
    command = [sys.executable, "-c", PUBLISH, str(repository.reference)]
    environment = {**os.environ, "CORE_FAILPOINTS": "image.sent=kill"}
    assert subprocess.run(command, check=False, env=environment).returncode == -signal.SIGKILL
    assert tags(repository) == ["base"]
    digest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert repository.head("code") == digest
    image = read_image(repository, digest, "")
    assert len(image.manifest.layers) == 2
    assert all(repository.has(blob.digest) for blob in image.manifest.layers)


FLOW = """
import os
from core import ImageSettings, pipeline, step

@step
def say() -> str:
    return os.environ["WORD"]

@pipeline(image=ImageSettings(base_image="BASE", requirements=(), environment={"WORD": "WHERE"}))
def flow():
    say()

if __name__ == "__main__":
    flow()
"""
BUILDERS = {
    "registry": {"image.built=kill": [], "image.sent=kill": ["env"]},
    "docker": {
        "image.built=kill": [],
        "image.added=kill": ["env"],
        "image.built=kill@1": ["env"],
    },  # the last is of the code
}
"""Who is killed where, one after the other, and what has a name then."""


@pytest.mark.skipif(not harness.FULL, reason="CORE_FAULTS=1 plays the whole table")
@pytest.mark.parametrize("builder", BUILDERS)
def test_killed_while_an_image_is_made(
    tmp_path: Path,
    repository: Repository,
    docker_engine: DockerEngine,
    base_image: str,
    monkeypatch: pytest.MonkeyPatch,
    builder: str,
) -> None:
    """The environment is new to engine and registry; what was named before a death is used by who comes then."""
    table = harness.Table(tmp_path, "chain", 1)
    table.environment["CORE_STACK"] = "made"
    table.script.write_text(FLOW.replace("BASE", base_image).replace("WHERE", str(repository.reference)))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / ".coreignore").write_text("home\n")
    kinds = {
        "orchestrator": ("docker", {"host": docker_engine.host}),
        "container_registry": ("default", {"uri": str(repository.reference).rpartition("/")[0]}),
        "image_builder": (builder, {"host": docker_engine.host}),
    }
    with Workspace(Settings(home=str(table.home))) as workspace:
        for kind, (flavor, settings) in kinds.items():
            workspace.catalog.put(Entry(kind, "made", 0, {"flavor": flavor, "settings": settings}))
        components = {**dict.fromkeys(kinds, "made"), "artifact_store": "default"}
        workspace.catalog.put(Entry("stack", "made", 0, {"components": components}))
    for armed, named in BUILDERS[builder].items():
        process = table.begin(CORE_FAILPOINTS=armed)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, said
        assert tags(repository) == named
        assert table.state() == ""
    process = table.begin(CORE_DISPLAY="plain")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "environment reused" in said
    run = Client(str(table.home)).run()
    assert run.images[0]["reference"].startswith(f"{repository.reference}@sha256:")
    assert run.steps["say"].outputs["output"].load() == str(repository.reference)
    swept(docker_engine, str(repository.reference), monkeypatch, left=builder == "docker")


def swept(about: DockerEngine, reference: str, monkeypatch: pytest.MonkeyPatch, *, left: bool) -> None:
    """Whether one container was left in which code was put; there is none when an engine has looked for such."""
    engine = connect(about.host)
    assert engine is not None
    client = engine._client

    def mine() -> set[str]:
        every = client.containers.list(all=True, ignore_removed=True, filters={"name": "core-code-"})
        return {found.id for found in every if f"WORD={reference}" in found.attrs["Config"]["Env"]}

    assert len(mine()) == left
    rows = [row for row in client.api.containers(all=True) if row["Id"] in mine()]
    monkeypatch.setattr("core.builtin.image_builders.engine.STALLED", -60.0)
    with monkeypatch.context() as patch:
        patch.setattr(client.api, "containers", lambda **_: rows)  # of other tests some are at work
        engine.sweep()
    assert not mine()
    engine.close()
