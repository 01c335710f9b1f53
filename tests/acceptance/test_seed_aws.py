"""The seed page's commands for AWS, as they stand there, against AWS on this machine; then the example trains on it.

It is broken off, and goes on from an empty home of somebody who shares nothing but the bucket. With each change that is
a pipeline of the example's shape: its libraries take long to import. CORE_FAULTS=1 takes the example itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from core.testing.engines.fixtures import REQUIRE

if find_spec("core_plugin_aws") is None and os.environ.get(REQUIRE) != "1":
    pytest.skip("the plugin aws is not installed", allow_module_level=True)
FULL = os.environ.get("CORE_FAULTS") == "1"
EXAMPLE = Path(__file__).parents[2] / "examples" / "training" / "run.py"
SHAPE = """
from core import pipeline, step

@step
def load() -> list[float]:
    return [number / 7 for number in range(20_000)]  # too large to lie inline

@step
def split(data: list[float]) -> tuple[list[float], list[float]]:
    return data[:15_000], data[15_000:]

@step
def train(data: list[float]) -> list[float]:
    return [number * 2 for number in data]

@step
def evaluate(one: list[float], other: list[float], test: list[float]) -> float:
    return sum(one) + sum(other) + sum(test)

@step
def plot(one: list[float], other: list[float]) -> list[float]:
    return one + other

@step
def promote(one: list[float], score: float) -> list[float]:
    return [*one, score]

@pipeline
def training():
    rest, test = split(load())
    one, other = train.with_options(name="train_linear")(rest), train.with_options(name="train_forest")(rest)
    score = evaluate(one, other, test)
    plot(one, other)
    promote(one, score)

if __name__ == "__main__":
    training()
"""
LIST = "core service-connector list-resources --resource-type kubernetes-cluster -e"
COMMANDS = f"""
core integration install aws -y
AWS_PROFILE=<p> core service-connector register cloud_connector --type aws --auto-configure
{LIST}
core artifact-store register cloud_artifact_store -f s3 --path=s3://BUCKET
core artifact-store connect cloud_artifact_store --connector cloud_connector
core container-registry register cloud_container_registry -f aws --uri=<ACCOUNT>.dkr.ecr.<REGION>.amazonaws.com
core container-registry connect cloud_container_registry --connector cloud_connector
core stack register minimal_cloud_stack -o default -a cloud_artifact_store -c cloud_container_registry
core stack set minimal_cloud_stack
""".strip().splitlines()

COLLEAGUE = f"""
{COMMANDS[1]}
core stack import stack.yaml
core stack set minimal_cloud_stack
""".strip().splitlines()
BROKEN = "attempt.returned=raise:OSError@7"
"""What ends the training in its last step."""


class Person:
    """Somebody who runs the platform, with a profile `work` in her AWS configuration."""

    def __init__(self, folder, aws, registry, config):
        self.folder = folder
        self.words = {"<p>": "work", "BUCKET": aws.bucket(), "<ACCOUNT>": "123456789012", "<REGION>": aws.region}
        user = aws.user({"Effect": "Allow", "Action": "*", "Resource": "*"})
        (config / "config").write_text(f"[profile work]\nregion = {aws.region}\nendpoint_url = {aws.endpoint}\n")
        keys = f"aws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret_access_key}\n"
        (config / "credentials").write_text(f"[work]\n{keys}")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {"PATH": path, "NO_COLOR": "1", "COLUMNS": "200", "CORE_DISPLAY": "none"}
        self.environment |= {"AWS_ENDPOINT_URL_ECR_REGISTRY": f"http://{registry.host}"}

    @property
    def bucket(self):
        return self.words["BUCKET"]

    def types(self, line, code=0, **environment):
        for word, meaning in self.words.items():
            line = line.replace(word, meaning)
        command = ["/bin/sh", "-c", line]
        options = {"cwd": self.folder, "env": os.environ | self.environment | environment, "stdin": subprocess.DEVNULL}
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def tells(self, line):
        return json.loads(self.types(f"{line} -o json"))

    def steps(self, run):
        return {step["name"]: step for step in self.tells(f"core runs show {run['id']}")["steps"]}

    def moves(self):
        """Go on as a colleague, on another machine, who gets the stack in a file, and trusts all who write there."""
        self.types("core stack export minimal_cloud_stack stack.yaml")
        file = self.folder / "stack.yaml"
        told = yaml.safe_load(file.read_text())
        told["components"]["artifact_store"]["cloud_artifact_store"]["settings"]["trusted"] = True
        file.write_text(yaml.safe_dump(told))
        self.environment["CORE_HOME"] = str(self.folder / "colleague")
        for line in COLLEAGUE:
            self.types(line)


def test_the_seed_page(aws, oci_registry_ecr, no_aws, tmp_path):
    person = Person(tmp_path, aws, oci_registry_ecr, no_aws)
    cluster = aws.cluster()
    said = {line: person.types(line) for line in COMMANDS}
    assert cluster in said[LIST]
    (tmp_path / "run.py").write_text(EXAMPLE.read_text() if FULL else SHAPE)
    person.types("python run.py --training-pipeline", code=1, CORE_FAILPOINTS=BROKEN)
    (run,) = person.tells("core runs list")
    assert (run["state"], run["stack"]) == ("failed", "minimal_cloud_stack")
    before = person.steps(run)
    assert [step["state"] for step in before.values()].count("completed") == 6
    person.moves()
    assert person.tells("core runs list") == []
    assert person.types("core runs sync").split() == [run["id"]]
    assert (person.tells("core runs list"), person.steps(run)) == ([run], before)
    person.types(f"core runs resume {run['id']}")
    after = person.steps(run)
    assert {step["state"] for step in after.values()} == {"completed"}
    assert [name for name in after if after[name] != before[name]] == ["promote"]
    keys = [item["Key"] for item in aws.client("s3").list_objects_v2(Bucket=person.bucket)["Contents"]]
    assert len([key for key in keys if len(key) == 65 and key[1] == "/"]) >= 6
