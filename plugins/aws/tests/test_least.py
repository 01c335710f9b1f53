"""The policy of docs/aws.md is enough for everything that the page tells, and none of it too much but what `UNCHECKED` names."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from uuid import uuid4

import pytest

from core.errors import CoreError
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.testing.engines.aws import ACCOUNT, REGION
from core.testing.suites.artifact_store import digest_of
from core.testing.tiny_image import push_tiny_image
from core_plugin_aws.connector import AwsConnector
from core_plugin_aws.ecr import EcrContainerRegistry
from core_plugin_aws.s3_store import S3ArtifactStore
from core_plugin_aws.settings import EcrSettings, S3Settings

PAGE = Path(__file__).parents[3] / "docs" / "aws.md"
FULL = os.environ.get("CORE_FAULTS") == "1"
UNCHECKED = {
    "ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
}  # fmt: skip
"""Permissions of pushing and pulling that the registry of the tests takes for one with those of the image."""


def policy(bucket):
    found = re.search(r"^```json policy.json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    text = found[1].replace("BUCKET", bucket).replace("REGION", REGION).replace("ACCOUNT", ACCOUNT)
    return json.loads(text)["Statement"]


def actions():
    return [action for each in policy("x") for action in each["Action"] if action not in UNCHECKED]


class Account:
    def __init__(self, aws, registry, *, without=""):
        self.aws, self.bucket, self.cluster = aws, aws.bucket(), aws.cluster()
        own = [{**each, "Action": [a for a in each["Action"] if a != without]} for each in policy(self.bucket)]
        self.user = aws.user({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})
        role = aws.role(*(each for each in own if each["Action"]), trusts=[self.user])
        keys = {"aws_access_key_id": self.user.access_key_id, "aws_secret_access_key": self.user.secret_access_key}
        self.connector = AwsConnector("iam-role", {**keys, "role_arn": role, "region": REGION, "endpoint_url": aws.endpoint})  # fmt: skip
        self.store = S3ArtifactStore(S3Settings(path=f"s3://{self.bucket}/x", part_size=5 << 20, retry_seconds=0))
        self.store.credentials = lambda: self.connector.credentials("s3-bucket", f"s3://{self.bucket}")
        host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
        self.registry = EcrContainerRegistry(EcrSettings(uri=host, endpoint=f"http://{registry.host}"))
        self.registry.credentials = lambda: self.connector.credentials("docker-registry", host)

    def artifacts(self):
        self.store.verify()
        for data in (b"small", b"large" * (3 << 20)):
            upload = self.store.begin()
            upload.write(data)
            upload.commit(digest_of(data))
            with self.store.open(digest_of(data)) as file:
                assert file.read() == data
        assert not self.store.exists(digest_of(b"other"))
        assert len(list(self.store.list())) == 2
        assert self.store.write("runs/a/0.json", b"x", new=True)
        assert [found.name for found in self.store.names("runs")] == ["runs/a/0.json"]
        self.aws.client("s3").create_multipart_upload(Bucket=self.bucket, Key="x/left")
        assert self.store.tidy(4e9) == 1
        self.store.remove("runs/a/0.json")
        self.store.delete(digest_of(b"small"))

    def images(self):
        self.registry.verify()
        name = f"core-{uuid4().hex[:8]}"
        self.registry.ensure(name)
        reference = parse_reference(self.registry.repository(name))
        with Repository(reference, self.registry.login, push=True) as repository:
            assert push_tiny_image(repository, "v1") == repository.manifest("v1").digest

    def clusters(self):
        assert self.cluster in list(self.connector.resources("kubernetes-cluster"))
        token = self.connector.credentials("kubernetes-cluster", self.cluster).values["token"]
        assert "arn" in self.aws.cluster_token(token, self.cluster)
        assert f"s3://{self.bucket}" in list(self.connector.resources("s3-bucket"))

    def everything(self):
        try:
            self.artifacts()
            self.images()
            self.clusters()
        finally:
            self.store.close()


def test_it_is_enough(aws, oci_registry_ecr):
    Account(aws, oci_registry_ecr).everything()


@pytest.mark.skipif(not FULL, reason="half a minute: CORE_FAULTS=1 runs it")
@pytest.mark.parametrize("action", actions())
def test_none_is_too_much(aws, oci_registry_ecr, action):
    with pytest.raises(CoreError) as caught:
        Account(aws, oci_registry_ecr, without=action).everything()
    assert action in caught.value.message or action in {"ecr:BatchGetImage", "ecr:PutImage"}
    assert caught.value.hint
