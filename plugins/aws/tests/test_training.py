"""The example trains in containers, its artifacts in S3, its images in a real registry, by one command."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from core.cli import main
from core.testing.engines.aws import EVERYTHING

pytestmark = pytest.mark.skipif(os.environ.get("CORE_FAULTS") != "1", reason="CORE_FAULTS=1 plays it")
EXAMPLE = Path(__file__).parents[3] / "examples" / "training"


@pytest.fixture
def stack(aws, docker_engine, oci_registry, base_image, tmp_path, monkeypatch):
    """The active stack, registered by commands; the working folder is a copy of the example."""
    monkeypatch.setenv("CORE_DISPLAY", "plain")
    shutil.copytree(EXAMPLE, tmp_path / "training")
    monkeypatch.chdir(tmp_path / "training")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "training"), *sys.path])
    user = aws.user(EVERYTHING)
    keys = [f"--aws_access_key_id={user.access_key_id}", f"--aws_secret_access_key={user.secret_access_key}"]
    where = [f"--region={aws.region}", f"--endpoint_url={aws.endpoint}"]
    commands = [
        ["service-connector", "register", "cloud", "--type", "aws", "--auth-method", "secret-key", *keys, *where],
        ["artifact-store", "register", "bucket", "-f", "s3", f"--path=s3://{aws.bucket()}/team", "--connector", "cloud"],
        ["orchestrator", "register", "boxes", "-f", "docker", f"--host={docker_engine.host}", "--network=host"],
        ["container-registry", "register", "images", "-f", "default", f"--uri={oci_registry.host}/training"],
        ["image-builder", "register", "maker", "-f", "registry", f"--base_image={base_image}", f"--host={docker_engine.host}"],
        ["stack", "register", "s", "-o", "boxes", "-a", "bucket", "-c", "images", "-i", "maker"],
        ["stack", "set", "s"],
    ]  # fmt: skip
    for command in commands:
        assert main(command) == 0, command
    yield
    sys.modules.pop("run", None)


@pytest.mark.usefixtures("stack")
def test_the_example_trains_in_containers_with_one_command(capfd, tmp_path):
    capfd.readouterr()
    assert main(["run", "run.py:training", "-o", "json"]) == 0
    told = capfd.readouterr()
    run = json.loads(told.out)
    assert {step["state"] for step in run["steps"]} == {"completed"}
    assert len(set(run["images"].values())) == 1
    assert "requirements from requirements.txt" in told.err
    script = tmp_path / "training" / "run.py"
    script.write_text(script.read_text().replace("random_state=0).fit", "max_depth=2, random_state=0).fit"))
    sys.modules.pop("run", None)
    assert main(["run", "run.py:training", "-o", "json"]) == 0
    told = capfd.readouterr()
    again = json.loads(told.out)
    assert [step["name"] for step in again["steps"] if step["state"] == "reused"] == ["load", "split", "train_linear"]
    assert "environment reused (unchanged)  code pushed" in told.err
