"""The connector type `aws` as data: what it gives access to, the ways to authenticate, and their settings."""

from __future__ import annotations

from core.ports.service_connector import AuthField, AuthMethod, ConnectorType, ResourceType

REGION = AuthField(
    "region", "Region of clusters, registries and STS, such as `eu-west-1`; by default that of the keys."
)
ENDPOINT = AuthField("endpoint_url", "URL of an AWS that is not Amazon's, for all services; normally not given.")
KEY = AuthField("aws_access_key_id", "Access key ID, such as `AKIA...`.", secret=True, required=True)
SECRET = AuthField("aws_secret_access_key", "The key's secret.", secret=True, required=True)
TOKEN = AuthField("aws_session_token", "Session token of temporary keys, such as `ASIA...`.", secret=True)
EXPIRES = AuthField("expires_at", "When the keys expire, as ISO 8601 in UTC, such as `2026-11-25T08:00:00Z`.")
SECONDS = AuthField(
    "expiration_seconds", "Life of the credentials handed out, in seconds: 900 to 43200.", default="3600"
)
ROLE = AuthField("role_arn", "Role to assume, such as `arn:aws:iam::123456789012:role/NAME`.", required=True)
EXTERNAL = AuthField("external_id", "What the role's trust policy wants to hear (`sts:ExternalId`).")
PROFILE = AuthField("profile_name", "Profile of the AWS configuration files; by default AWS_PROFILE, then `default`.")
_EVERY = (REGION, ENDPOINT)

METHODS = (
    AuthMethod(
        "implicit",
        "What this machine has: environment, profile, single sign-on, role of the machine. Nothing secret is kept.",
        (PROFILE, ROLE._replace(required=False), EXTERNAL, SECONDS, *_EVERY),
    ),
    AuthMethod(
        "secret-key",
        "Long-lived keys of an IAM user, handed out as they are: for trying; better `iam-role` or `federation-token`.",
        (KEY, SECRET, *_EVERY),
    ),
    AuthMethod(
        "sts-token",
        "Temporary keys that somebody else made: they end, and core cannot renew them.",
        (KEY, SECRET, TOKEN._replace(required=True), EXPIRES, *_EVERY),
    ),
    AuthMethod(
        "iam-role",
        "Assumes a role for each resource, narrowed to it: short-lived, scoped, renewed. The best choice.",
        (KEY, SECRET, TOKEN, ROLE, EXTERNAL, SECONDS, *_EVERY),
    ),
    AuthMethod(
        "session-token",
        "Keys of an IAM user, exchanged for short-lived ones that may do the same (for accounts that want MFA: not).",
        (KEY, SECRET, SECONDS, *_EVERY),
    ),
    AuthMethod(
        "federation-token",
        "Keys of an IAM user, exchanged for short-lived ones narrowed to the resource; needs no role.",
        (KEY, SECRET, SECONDS, *_EVERY),
    ),
)

AWS = ConnectorType(
    "aws",
    "Amazon Web Services: S3 buckets, EKS clusters, ECR registries, and keys for everything else.",
    "core_plugin_aws.connector:AwsConnector",
    (
        ResourceType("aws-generic", "Keys for any AWS service."),
        ResourceType("s3-bucket", "An S3 bucket, for reading and writing objects.", "s3://BUCKET"),
        ResourceType("kubernetes-cluster", "An EKS cluster.", "CLUSTER"),
        ResourceType(
            "docker-registry", "The ECR registry of an account in a region.", "ACCOUNT.dkr.ecr.REGION.amazonaws.com"
        ),
    ),
    METHODS,
    auto=True,
)
