"""Each auth method with credentials that are right, wrong, expired, or right and under-privileged; what each narrows."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import pytest
from botocore.exceptions import ClientError

from core.connectors.checked import checked, method_of
from core.errors import AuthenticationError, ConfigurationError, NotAllowedError, NotFoundError
from core.oci.login import try_login
from core.ports.container_registry import RegistryLogin
from core.testing.engines.aws import ACCOUNT, REGION, Keys, statement
from core_plugin_aws.connector import AwsConnector
from core_plugin_aws.types import AWS

METHODS = ["implicit", "secret-key", "sts-token", "iam-role", "session-token", "federation-token"]
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
TYPES = [each.name for each in AWS.resource_types]
FULL = os.environ.get("CORE_FAULTS") == "1"
"""The whole table; with each change a part of it, beside the suite in `test_connector.py`, which asks each method for all."""
TRIED = TYPES if FULL else ["aws-generic", "s3-bucket"]
"""What wrong credentials are asked for."""


class Cast(NamedTuple):
    """Who plays: users who can and can't, keys that are over, and the resources of the account."""

    able: Keys
    unable: Keys
    """May assume roles and ask for tokens, and no more."""
    gone: Keys
    """Their user made new ones and deleted these."""
    over: Keys
    """A session that has ended."""
    temporary: Keys
    weak: Keys
    """A session of the one who can't."""
    role: str
    weak_role: str
    """May do nothing."""
    bucket: str
    other: str
    cluster: str


@pytest.fixture(scope="module")
def cast(aws):
    able = aws.user(statement("*"))
    unable = aws.user(statement("sts:AssumeRole", "sts:GetFederationToken", "sts:GetSessionToken"))
    gone, short = aws.user(statement("*")), aws.user(statement("*"))
    aws.client("iam").delete_access_key(UserName=gone.user, AccessKeyId=gone.access_key_id)
    aws.lifetime(short, 0.0)
    roles = aws.role(statement("*"), trusts=[able, unable]), aws.role(trusts=[able, unable])
    return Cast(
        able, unable, gone, aws.session(short), aws.session(able), aws.session(unable), *roles,
        aws.bucket(), aws.bucket(), aws.cluster(),
    )  # fmt: skip


@pytest.fixture
def connect(aws, no_aws):
    """Makes a connector as the command line does: checked settings, nobody asked yet."""

    def make(method, keys, role="", **settings):
        found = {"region": aws.region, "endpoint_url": aws.endpoint, **settings}
        if method == "implicit":
            lines = [f"aws_access_key_id = {keys.access_key_id}", f"aws_secret_access_key = {keys.secret_access_key}"]
            lines += [f"aws_session_token = {keys.session_token}"] if keys.session_token else []
            (no_aws / "credentials").write_text("\n".join(["[work]", *lines, ""]))
            found["profile_name"] = "work"
        else:
            found |= {"aws_access_key_id": keys.access_key_id, "aws_secret_access_key": keys.secret_access_key}
            found |= {"aws_session_token": keys.session_token} if keys.session_token else {}
        found |= {"role_arn": role} if role else {}
        return AwsConnector(method, checked(AWS, method_of(AWS, method), found))

    return make


def right(cast, method):
    """Keys and role with which `method` gets in."""
    return (cast.temporary if method == "sts-token" else cast.able), (cast.role if method == "iam-role" else "")


def id_of(cast, resource_type):
    ids = {"s3-bucket": f"s3://{cast.bucket}", "kubernetes-cluster": cast.cluster, "docker-registry": REGISTRY}
    return ids.get(resource_type, "")


def keys_in(given):
    values = given.values
    return Keys(values["access_key_id"], values["secret_access_key"], values.get("session_token", ""))


def opens(aws, registry, cast, given):
    """Use credentials for what they are for."""
    if given.resource_type == "s3-bucket":
        s3 = aws.client("s3", keys_in(given))
        s3.put_object(Bucket=cast.bucket, Key="a", Body=b"x")
        assert s3.get_object(Bucket=cast.bucket, Key="a")["Body"].read() == b"x"
    elif given.resource_type == "kubernetes-cluster":
        assert "arn" in aws.cluster_token(given.values["token"], cast.cluster)
    elif given.resource_type == "docker-registry":
        try_login(registry.host, lambda: RegistryLogin(given.values["username"], given.values["password"]))
    else:
        assert aws.client("sts", keys_in(given)).get_caller_identity()["Account"] == ACCOUNT


@pytest.mark.parametrize("resource_type", TYPES if FULL else ["s3-bucket", "docker-registry"])
@pytest.mark.parametrize("method", METHODS)
def test_right(aws, oci_registry_ecr, cast, connect, method, resource_type):
    given = connect(method, *right(cast, method)).credentials(resource_type, id_of(cast, resource_type))
    opens(aws, oci_registry_ecr, cast, given)
    short = method in {"iam-role", "session-token", "federation-token"}
    life = {"kubernetes-cluster": 840, "docker-registry": 3600 if short else 43200}.get(
        resource_type, 3600 if short else None
    )
    assert life is None if given.expires_at is None else life - 30 < given.expires_at - time.time() <= life


@pytest.mark.parametrize(
    ("method", "arn"),
    [
        *((method, ":user/") for method in ("implicit", "secret-key", "sts-token", "session-token")),
        ("iam-role", ":assumed-role/"), ("federation-token", ":federated-user/core-"),
    ],
)  # fmt: skip
def test_right_tells_who_it_is(cast, connect, method, arn):
    assert arn in connect(method, *right(cast, method)).identity()


def refuse(connector, cast, secret, words):
    """Everything is refused, with the same words and without the secret."""
    asks = [connector.identity, lambda: next(connector.resources("s3-bucket"))]
    asks += [lambda name=name: connector.credentials(name, id_of(cast, name)) for name in TRIED]
    for ask in asks:
        with pytest.raises(AuthenticationError, match=words) as caught:
            ask()
        assert caught.value.hint
        assert secret not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("wrong", ["key", "secret"] if FULL else ["secret"])
@pytest.mark.parametrize("method", METHODS)
def test_wrong(cast, connect, method, wrong):
    keys, role = right(cast, method)
    spoilt = {"access_key_id": "AKIAWRONGWRONGWRONG1"} if wrong == "key" else {"secret_access_key": "wrong" * 8}
    keys = keys._replace(**spoilt)
    refuse(connect(method, keys, role), cast, keys.secret_access_key, "AWS does not accept the credentials")


@pytest.mark.parametrize("method", METHODS)
def test_expired(cast, connect, method):
    """Of methods that take long-lived keys only: keys that were replaced and deleted."""
    lasting = method in {"secret-key", "session-token", "federation-token"}
    keys, role = cast.gone if lasting else cast.over, right(cast, method)[1]
    words = "AWS does not accept the credentials" if lasting else "the credentials have expired"
    refuse(connect(method, keys, role), cast, keys.secret_access_key, words)


def weak(cast, method):
    """Right keys and role that may do nothing."""
    return (cast.weak if method == "sts-token" else cast.unable), (cast.weak_role if method == "iam-role" else "")


LACKING = [
    ("credentials", "s3-bucket", "s3:ListBucket"),
    ("resources", "kubernetes-cluster", "eks:ListClusters"),
    ("resources", "s3-bucket", "s3:ListAllMyBuckets"),
    ("credentials", "kubernetes-cluster", "eks:DescribeCluster"),
    ("credentials", "docker-registry", "ecr:GetAuthorizationToken"),
]


@pytest.mark.parametrize(("asking", "resource_type", "permission"), LACKING if FULL else LACKING[:2])
@pytest.mark.parametrize("method", METHODS)
def test_under_privileged(cast, connect, method, asking, resource_type, permission):
    connector = connect(method, *weak(cast, method))
    with pytest.raises(NotAllowedError, match=f"the permission {permission} is missing") as caught:
        list(connector.resources(resource_type)) if asking == "resources" else connector.credentials(resource_type, id_of(cast, resource_type))  # fmt: skip
    assert not isinstance(caught.value, AuthenticationError)
    assert f"allow {permission} to" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "denied"),
    [("iam-role", "AssumeRole"), ("session-token", "GetSessionToken"), ("federation-token", "GetFederationToken")],
)
def test_under_privileged_for_the_exchange(aws, cast, connect, method, denied):
    keys = aws.user(statement("s3:*"), statement(f"sts:{denied}", effect="Deny"))
    with pytest.raises(NotAllowedError, match=f"the permission sts:{denied} is missing"):
        connect(method, keys, right(cast, method)[1]).credentials("s3-bucket", f"s3://{cast.bucket}")


def test_a_role_that_is_not_there(cast, connect):
    with pytest.raises(NotAllowedError, match=r"assume the role 'arn:aws:iam::123456789012:role/nobody'"):
        connect("iam-role", cast.able, "arn:aws:iam::123456789012:role/nobody").identity()


@pytest.mark.parametrize("method", ["implicit", "iam-role"])
def test_a_role_is_assumed_with_temporary_keys_too(aws, cast, connect, method):
    connector = connect(method, cast.temporary, cast.role)
    assert ":assumed-role/" in connector.identity()
    opens(aws, None, cast, connector.credentials("s3-bucket", f"s3://{cast.bucket}"))


@pytest.mark.parametrize("method", ["iam-role", "federation-token", "implicit with a role"])
def test_narrowed(aws, cast, connect, method):
    """What is for one bucket opens no other, and nothing else; what is for a cluster opens no bucket."""
    name = method.partition(" ")[0]
    connector = connect(name, cast.able, cast.role if "role" in method else "")
    given = connector.credentials("s3-bucket", f"s3://{cast.bucket}")
    opens(aws, None, cast, given)
    s3 = aws.client("s3", keys_in(given))
    for ask in (
        lambda: s3.list_buckets(),
        lambda: s3.list_objects_v2(Bucket=cast.other),
        lambda: s3.put_object(Bucket=cast.other, Key="a", Body=b"x"),
        lambda: s3.delete_bucket(Bucket=cast.bucket),
        lambda: aws.client("ecr", keys_in(given)).get_authorization_token(),
        lambda: aws.client("s3", keys_in(connector.credentials("kubernetes-cluster", cast.cluster))).head_bucket(Bucket=cast.bucket),
    ):  # fmt: skip
        with pytest.raises(ClientError) as caught:
            ask()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}


@pytest.mark.parametrize("method", ["secret-key", "sts-token", "session-token", "implicit"])
def test_not_narrowed(aws, cast, connect, method):
    """As documented: these keys may do what their user may."""
    given = connect(method, *right(cast, method)).credentials("s3-bucket", f"s3://{cast.bucket}")
    aws.client("s3", keys_in(given)).list_objects_v2(Bucket=cast.other)


def test_a_token_is_for_one_cluster(aws, cast, connect):
    token = connect("iam-role", cast.able, cast.role).credentials("kubernetes-cluster", cast.cluster).values["token"]
    assert "assumed-role" in aws.cluster_token(token, cast.cluster)["arn"]
    assert aws.cluster_token(token, aws.cluster()) == {"error": "the signature is of another cluster"}


def test_the_end_of_typed_keys_is_heeded(cast, connect):
    connector = connect("sts-token", cast.temporary, expires_at="2100-01-01T00:00:00Z")
    assert connector.credentials("aws-generic").expires_at == 4102444800
    with pytest.raises(AuthenticationError, match="have expired at 2020-01-01"):
        connect("sts-token", cast.temporary, expires_at="2020-01-01").identity()
    with pytest.raises(ConfigurationError, match="expires_at is 'soon'"):
        connect("sts-token", cast.temporary, expires_at="soon").identity()


@pytest.mark.parametrize("seconds", ["60", "1e4", "200000", "an hour"] if FULL else ["60"])
@pytest.mark.parametrize("method", ["iam-role", "session-token", "federation-token"])
def test_a_life_that_aws_does_not_give(cast, connect, method, seconds):
    with pytest.raises(ConfigurationError, match="expected a whole number from 900 to"):
        connect(method, *right(cast, method), expiration_seconds=seconds).identity()


def test_a_profile_that_is_not_there(connect, cast):
    connector = connect("implicit", cast.able)
    connector.settings = {**connector.settings, "profile_name": "other"}
    with pytest.raises(NotFoundError, match="profile") as caught:
        connector.identity()
    assert "aws configure list-profiles" in caught.value.hint


def test_a_machine_without_credentials(aws, no_aws):
    with pytest.raises(NotFoundError, match="this machine has no credentials"):
        AwsConnector("implicit", {"region": aws.region, "endpoint_url": aws.endpoint}).identity()
