"""Steps in containers with their artifacts in S3, whose credentials live for a shorter time than the step."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from importlib import import_module
from pathlib import Path

import pytest

import core
import core_plugin_aws
from core import RunFailed
from core.builtin.orchestrators.docker import DockerOrchestrator
from core.builtin.orchestrators.settings import DockerSettings
from core.cli import main
from core.schedule.post import Post
from core.stack import Stack
from core.testing.engines.aws import EVERYTHING
from core.workspace import Workspace
from core_plugin_aws.s3_store import S3ArtifactStore
from core_plugin_aws.settings import S3Settings

pytestmark = pytest.mark.skipif(os.environ.get("CORE_FAULTS") != "1", reason="CORE_FAULTS=1 plays it")
LIFE, LONG = 20.0, 45.0
FLOW = f"""
import time
from core import pipeline, step

@step
def slow() -> bytes:
    for second in range({LONG:.0f}):
        print("second", second, flush=True)
        time.sleep(1)
    return bytes(100_000)

@pipeline
def long() -> None:
    slow()
"""


@pytest.fixture
def flow(aws, docker_engine, base_image, tmp_path, monkeypatch):
    """The pipeline, on a stack of the engine and a bucket, with a role whose sessions are short."""
    monkeypatch.setattr("core.schedule.jobs.LONGEST", 1.0)
    user = aws.user(EVERYTHING)
    role = aws.role(EVERYTHING, trusts=[user])
    aws.lifetime(role, LIFE)
    keys = [f"--aws_access_key_id={user.access_key_id}", f"--aws_secret_access_key={user.secret_access_key}"]
    register = ["service-connector", "register", "short", "--type", "aws", "--auth-method", "iam-role", *keys]
    assert main([*register, f"--role_arn={role}", f"--region={aws.region}", f"--endpoint_url={aws.endpoint}"]) == 0
    (tmp_path / "flow_s3.py").write_text(FLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = sysconfig.get_path("purelib")
    sources = [str(Path(module.__file__).parent.parent) for module in (core, core_plugin_aws)]
    settings = DockerSettings(
        host=docker_engine.host,
        image=base_image,
        network="host",
        environment={"PYTHONPATH": ":".join([*sources, packages, str(tmp_path)])},
        volumes={path: f"{path}:ro" for path in (*sources, packages, str(tmp_path))},
    )
    path = f"s3://{aws.bucket()}/team"
    store = S3ArtifactStore(S3Settings(path=path))
    with Workspace() as workspace:
        store.credentials = workspace.connectors.credentials("short", "s3-bucket", path)
    monkeypatch.setattr(Workspace, "stack", Stack("docker", DockerOrchestrator(settings), store))
    monkeypatch.setenv("CORE_DISPLAY", "none")
    yield import_module("flow_s3").long
    sys.modules.pop("flow_s3", None)


def test_credentials_are_renewed_inside_the_container(flow, aws):
    """Not one of those that it was given at its start is good at its end; all of its log is in the bucket, too."""
    began = time.time()
    run = flow()
    assert time.time() - began > 2 * LIFE
    assert run.state == "completed"
    assert run.steps["slow"].outputs["output"].load() == bytes(100_000)
    bucket = Workspace().stack.artifact_store.bucket
    names = [item["Key"] for item in aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert len([name for name in names if "/logs/" in name]) == 1
    assert not [name for name in names if "/keys/" in name]


def test_a_container_says_why_it_has_no_credentials(flow, monkeypatch):
    monkeypatch.setattr(Post, "lend", lambda *_: None)
    with pytest.raises(RunFailed) as caught:
        flow()
    log = caught.value.run.steps["slow"].log()
    assert "the driver of the run has left no new ones" in log
