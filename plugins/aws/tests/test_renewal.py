"""Credentials that end sooner than a step does: a run whose store is a bucket, in this process and in workers."""

from __future__ import annotations

import os
import time

import pytest

from core import Client, RunFailed, pipeline, step
from core.cli import main
from core.testing.engines.aws import statement

FULL = os.environ.get("CORE_FAULTS") == "1"
LIFE, LONG = 3.0, 60.0 if FULL else 4.0
STARTS = ["fork", "one process", "fresh"] if FULL else ["fork"]
"""The driver of each renews for the journal; workers for themselves."""


@step(cache=False)
def make() -> bytes:
    return b"made" * 1000


@step(cache=False)
def long(data: bytes) -> bytes:
    """Reads what another run left when half of its time is over, and writes at its end."""
    half = float(os.environ["LONG_STEP"]) / 2  # workers import this file in an environment without CORE_FAULTS
    time.sleep(half)
    earlier = Client().run(os.environ["EARLIER_RUN"]).steps["make"].outputs["output"].load()
    time.sleep(half)
    return data + earlier


@pipeline
def making() -> None:
    make()


@pipeline
def using() -> None:
    data = make()
    long(data)
    long.with_options(name="beside")(data)


@pytest.fixture
def cloud(aws, no_aws, tmp_path, monkeypatch):
    """Makes a stack in a new bucket, with a connector; everything is stored there, however small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORE_INLINE_LIMIT", "0")
    monkeypatch.setenv("LONG_STEP", str(LONG))

    def make(method, **settings):
        settings |= {"region": aws.region, "endpoint_url": aws.endpoint}
        options = [f"--{name}={value}" for name, value in settings.items()]
        assert main(["service-connector", "register", "cloud", "--type", "aws", "--auth-method", method, *options]) == 0
        assert main(["artifact-store", "register", "cloud", "-f", "s3", f"--path=s3://{aws.bucket()}", "--connector", "cloud"]) == 0  # fmt: skip
        assert main(["stack", "register", "cloud", "-a", "cloud"]) == 0
        monkeypatch.setenv("CORE_STACK", "cloud")

    return make


def keys(user):
    found = {"aws_access_key_id": user.access_key_id, "aws_secret_access_key": user.secret_access_key}
    return found | ({"aws_session_token": user.session_token} if user.session_token else {})


@pytest.mark.parametrize("start", STARTS)
def test_a_step_outlives_its_credentials(aws, cloud, monkeypatch, start):
    user = aws.user(statement("*"))
    role = aws.role(statement("*"), trusts=[user])
    cloud("iam-role", **keys(user), role_arn=role)
    monkeypatch.setenv("EARLIER_RUN", making().id)
    aws.lifetime(role, LIFE)
    if start != "one process":
        monkeypatch.setenv("CORE_START", start)
    run = using.with_options(workers=1 if start == "one process" else 2)()
    for name in ("long", "beside"):
        assert run.steps[name].outputs["output"].load() == b"made" * 2000


@pytest.mark.skipif(not FULL, reason="the keys must live until the step runs: CORE_FAULTS=1")
def test_a_step_does_not_outlive_keys_that_nobody_renews(aws, cloud, monkeypatch):
    user = aws.user(statement("*"))
    aws.lifetime(user, LONG / 2)
    cloud("sts-token", **keys(aws.session(user)))
    monkeypatch.setenv("EARLIER_RUN", making().id)
    with pytest.raises(RunFailed) as caught:
        using.with_options(workers=2)()
    for name in ("long", "beside"):
        assert "the credentials have expired" in caught.value.run.steps[name].error["message"]
