"""AWS on this machine: moto's server in its own process, with authorisation on, and a root that makes things."""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from core.model.value import Value
from core.testing.engines.registry import start_registry
from core.testing.engines.shared import Absent, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.testing.engines.shared import Place

ACCOUNT = "123456789012"
REGION = "eu-west-1"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
VARIABLES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR_REGISTRY",
)  # fmt: skip
"""What tests take out of the environment, so that nobody's own account is ever asked."""


class Keys(Value):
    """Credentials of a user or of a session."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    user: str = ""
    """Name of the user whose long-lived keys they are."""

    def environment(self, endpoint: str, region: str = REGION) -> dict[str, str]:
        """Environment variables with which any AWS SDK uses them."""
        found = {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return {name: value for name, value in found.items() if value}


class Aws(Value):
    """The server that runs; it has one account, `123456789012`."""

    endpoint: str
    """For `AWS_ENDPOINT_URL`."""
    folder: str
    """Its folder, with its log and the realm's certificate."""
    root: Keys
    """May do everything."""
    region: str = REGION

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Aws:
        """What `start_aws` returned."""
        return cls(data["endpoint"], data["folder"], Keys(*data["root"]))

    def client(self, service: str, keys: Keys | None = None) -> Any:
        """A boto3 client of `service` with `keys`, those of root by default; the same one for the same question."""
        return _client(service, keys or self.root, self.endpoint, self.region, os.getpid())

    def user(self, *statements: Mapping[str, Any], name: str = "") -> Keys:
        """A new user with one inline policy (none: may do nothing)."""
        iam, name = self.client("iam"), name or f"user-{uuid4().hex[:12]}"
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=_policy(statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(key["AccessKeyId"], key["SecretAccessKey"], "", name)

    def allow(self, user: Keys, *statements: Mapping[str, Any]) -> None:
        """Put `statements` in the place of what `user` may do."""
        self.client("iam").put_user_policy(UserName=user.user, PolicyName="inline", PolicyDocument=_policy(statements))

    def role(self, *statements: Mapping[str, Any], trusts: Sequence[Keys] = ()) -> str:
        """ARN of a new role with one inline policy; the users `trusts` may assume it if their own policy lets them."""
        iam, name = self.client("iam"), f"role-{uuid4().hex[:12]}"
        users = [f"arn:aws:iam::{ACCOUNT}:user/{keys.user}" for keys in trusts]
        trust = {"Effect": "Allow", "Principal": {"AWS": users}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=_policy(statements))
        return str(arn)

    def bucket(self, name: str = "") -> str:
        """Name of a new bucket."""
        name = name or f"bucket-{uuid4().hex[:16]}"
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        return name

    def cluster(self, name: str = "") -> str:
        """Name of a new EKS cluster, whose certificate authority is the realm's."""
        name = name or f"cluster-{uuid4().hex[:12]}"
        network = {"subnetIds": ["subnet-1", "subnet-2"]}
        role = f"arn:aws:iam::{ACCOUNT}:role/eks"
        self.client("eks").create_cluster(name=name, roleArn=role, resourcesVpcConfig=network)
        return name

    def session(self, user: Keys) -> Keys:
        """Keys of a session of `user`."""
        given = self.client("sts", user).get_session_token()["Credentials"]
        return Keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def cluster_token(self, token: str, cluster: str) -> dict[str, Any]:
        """What the API server of `cluster` says to `token`: `arn` of whom it lets in, or `error`."""
        return _post(self.endpoint, "/core/cluster-token", {"token": token, "cluster": cluster})

    def lifetime(self, owner: Keys | str, seconds: float) -> None:
        """Let sessions and logins that this user or role (an ARN) gets from now on live `seconds` at most."""
        name = owner.user if isinstance(owner, Keys) else owner.rpartition("/")[2]
        _post(self.endpoint, "/core/lifetime", {name: seconds})


@lru_cache(32)
def _client(service: str, keys: Keys, endpoint: str, region: str, _process: int) -> Any:
    import boto3  # an optional SDK

    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token or None,
    )


def start_aws(place: Place) -> dict[str, Any]:
    """Start the server in about two seconds."""
    try:
        import boto3  # noqa: F401 - an optional SDK
        import moto  # noqa: F401 - the same
    except ImportError as error:
        raise Absent(f"moto is not installed ({error}); `pip install 'moto[server]' boto3`") from error
    port = free_port()
    command = [sys.executable, "-m", "core.testing.engines.aws_server", port, place.folder]
    log = place.keep(command, "aws")
    place.wait(lambda: "ready at" in log.read_text() if log.exists() else False, log, 60)
    endpoint = f"http://127.0.0.1:{port}"
    first = Aws(endpoint, str(place.folder), Keys("AKIAROOTROOTROOTROOT", "root"))  # authorisation is still off
    keys = first.user(EVERYTHING, name="root")
    _post(endpoint, "/moto-api/reset-auth", 0)
    return {"endpoint": endpoint, "folder": str(place.folder), "root": list(keys)}


def start_ecr(place: Place, aws: Aws) -> dict[str, Any]:
    """A registry that takes logins of `aws` only, as ECR does."""
    token = {"realm": f"{aws.endpoint}/core/token", "service": "core-registry", "issuer": "core"}
    return start_registry(place, {"token": token | {"rootcertbundle": f"{aws.folder}/realm.pem"}})


def statement(*actions: str, resource: str = "*", effect: str = "Allow") -> dict[str, Any]:
    """A statement of a policy."""
    return {"Effect": effect, "Action": list(actions), "Resource": resource}


def _policy(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _post(endpoint: str, path: str, data: object) -> dict[str, Any]:
    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", path, json.dumps(data), {"Content-Type": "text/plain"})
        return dict(json.loads(connection.getresponse().read()))
    finally:
        connection.close()
