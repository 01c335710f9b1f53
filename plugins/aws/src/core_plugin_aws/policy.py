"""The least that a resource needs: session policies that narrow keys to one bucket, cluster or registry."""

from __future__ import annotations

import json

from core.errors import UsageError
from core.model.value import Value
from core_plugin_aws.uri import parse_registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

BUCKET = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
OBJECTS = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
KEYS = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
IMAGES = [
    "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository",
    "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload",
    "ecr:ListImages", "ecr:PutImage", "ecr:UploadLayerPart",
]  # fmt: skip
WHOLE = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]


class Scope(Value):
    """What credentials are for."""

    resource_type: str
    name: str = ""
    """Bucket, cluster, or the registry's account."""
    region: str = ""
    """Where it lies, if its id tells."""
    partition: str = "aws"

    def policy(self) -> str:
        """The session policy, JSON; empty for `aws-generic`, which is not narrowed."""
        statements = self._statements()
        return json.dumps({"Version": "2012-10-17", "Statement": statements}) if statements else ""

    def _statements(self) -> list[dict[str, Any]]:
        arn = f"arn:{self.partition}"
        if self.resource_type == "s3-bucket":
            bucket = f"{arn}:s3:::{self.name}"
            return [_allow(BUCKET, bucket), _allow(OBJECTS, f"{bucket}/*"), _allow(KEYS, "*")]
        if self.resource_type == "kubernetes-cluster":
            return [_allow(["eks:DescribeCluster"], f"{arn}:eks:{self.region or '*'}:*:cluster/{self.name}")]
        if self.resource_type == "docker-registry":
            images = f"{arn}:ecr:{self.region}:{self.name}:repository/*"
            return [_allow(["ecr:GetAuthorizationToken"], "*"), _allow(IMAGES, images)]
        return []


def scope_of(resource_type: str, resource_id: str, settings: Mapping[str, str]) -> Scope:
    """The scope of a resource; raises `UsageError` for an id that its type does not have."""
    region = settings.get("region", "")
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    if resource_type == "s3-bucket":
        bucket = resource_id.partition("://")[2].partition("/")[0] if "://" in resource_id else resource_id
        if not 3 <= len(bucket) <= 63 or not bucket.replace("-", "").replace(".", "").isalnum():
            raise UsageError(f"{resource_id!r} is no S3 bucket", "expected `s3://BUCKET`")
        return Scope(resource_type, bucket, region, partition)
    if resource_type == "kubernetes-cluster":
        name = resource_id.rpartition("/")[2]
        if not name.replace("-", "").replace("_", "").isalnum():
            raise UsageError(f"{resource_id!r} is no EKS cluster", "expected the cluster's name")
        return Scope(resource_type, name, region, partition)
    if resource_type == "docker-registry":
        try:
            found = parse_registry(resource_id)
        except ValueError as error:
            raise UsageError(
                str(error), "`core service-connector list-resources` shows the registry in reach"
            ) from None
        return Scope(resource_type, found.account, found.region, found.partition)
    return Scope(resource_type, "", region, partition)


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}
