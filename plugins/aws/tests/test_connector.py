"""The connector `aws` against moto with authorisation on: every method right, wrong, expired and under-privileged."""

from __future__ import annotations

import pytest

from core.testing.engines.aws import statement
from core.testing.suites.service_connector import ServiceConnectorSuite
from core_plugin_aws.types import AWS

METHODS = [method.name for method in AWS.methods]


def places(aws):
    return {"region": aws.region, "endpoint_url": aws.endpoint}


def keys_of(keys):
    found = {"aws_access_key_id": keys.access_key_id, "aws_secret_access_key": keys.secret_access_key}
    return found | ({"aws_session_token": keys.session_token} if keys.session_token else {})


class Account:
    """An account in which each method has settings that work."""

    def __init__(self, aws):
        self.aws, self.folder = aws, None
        self.user = aws.user(statement("*"))
        self.role = aws.role(statement("*"), trusts=[self.user])
        self.bucket, self.cluster = aws.bucket(), aws.cluster()
        self.registry = f"123456789012.dkr.ecr.{aws.region}.amazonaws.com"

    def settings(self, method, user=None, role=""):
        user = user or self.user
        if method == "implicit":
            profile = user.user or "session"
            with (self.folder / "credentials").open("a") as file:
                file.write(
                    f"[{profile}]\naws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret_access_key}\n"
                )
                file.write(f"aws_session_token = {user.session_token}\n" if user.session_token else "")
            return {"profile_name": profile, **places(self.aws)}
        if method == "sts-token" and not user.session_token:
            user = self.aws.session(user)
        return {
            **keys_of(user),
            **({"role_arn": role or self.role} if method == "iam-role" else {}),
            **places(self.aws),
        }


@pytest.fixture(scope="module")
def everyones(aws):
    return Account(aws)


@pytest.fixture
def account(everyones, no_aws):
    everyones.folder = no_aws
    return everyones


class TestAws(ServiceConnectorSuite):
    sdk = ("boto3", "botocore", "s3fs", "aiobotocore", "pydantic")

    @pytest.fixture(autouse=True)
    def _account(self, account):
        self.account = account

    @pytest.fixture
    def kind(self):
        return AWS

    def right(self):
        return {method: self.account.settings(method) for method in METHODS}

    def wrong(self):
        spoilt = self.account.user._replace(secret_access_key="wrong" * 8, user="spoilt")
        return {
            method: self.account.settings(
                method, spoilt._replace(session_token="x" * 40 if method == "sts-token" else "")
            )
            for method in METHODS
        }

    def reached(self):
        return {
            "aws-generic": "",
            "s3-bucket": f"s3://{self.account.bucket}",
            "kubernetes-cluster": self.account.cluster,
            "docker-registry": self.account.registry,
        }

    def missing(self):
        return {"s3-bucket": "s3://bucket-that-is-not-there", "kubernetes-cluster": "no-such-cluster"}

    def environment(self):
        return self.account.user.environment(self.account.aws.endpoint)
