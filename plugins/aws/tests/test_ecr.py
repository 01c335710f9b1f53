"""The container registry `aws` against moto and a registry that takes its logins only: the suite, and what ECR adds."""

from __future__ import annotations

import json
import os
import time
from functools import cache
from uuid import uuid4

import pytest
from pydantic import ValidationError

from core.errors import AuthenticationError, NotAllowedError, NotFoundError
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.testing.engines.aws import ACCOUNT, REGION, statement
from core.testing.suites.container_registry import ContainerRegistrySuite
from core.testing.tiny_image import push_tiny_image
from core_plugin_aws import ecr as module
from core_plugin_aws.connector import AwsConnector
from core_plugin_aws.ecr import EcrContainerRegistry
from core_plugin_aws.policy import scope_of
from core_plugin_aws.settings import EcrSettings
from core_plugin_aws.uri import parse_registry, registry_host

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


@pytest.fixture
def made(aws, oci_registry_ecr, monkeypatch):
    """Makes a registry with keys of this machine (root's by default)."""

    def make(uri=HOST, keys=None, **settings):
        for name, value in (keys or aws.root).environment(aws.endpoint).items():
            monkeypatch.setenv(name, value)
        return EcrContainerRegistry(EcrSettings(uri=uri, **{"endpoint": f"http://{oci_registry_ecr.host}", **settings}))

    return make


@pytest.fixture
def linked(aws, made):
    """Makes a registry with a connector of one method, by default a user's own keys."""

    def make(user, uri=HOST, method="secret-key", **settings):
        keys = {"aws_access_key_id": user.access_key_id, "aws_secret_access_key": user.secret_access_key}
        connector = AwsConnector(method, {**keys, "region": aws.region, "endpoint_url": aws.endpoint})
        registry = made(uri, user, **settings)
        registry.credentials = cache(lambda: connector.credentials("docker-registry", registry.resource_id()))
        return registry

    return make


class TestEcr(ContainerRegistrySuite):
    sdk = ("boto3", "botocore", "pydantic", "docker")

    @pytest.fixture
    def registry(self, made):
        return made(f"{HOST}/team")

    @pytest.fixture
    def refused(self, aws, made):
        user = aws.user(statement("ecr:*"))
        aws.lifetime(user, 0.0)
        return made(keys=user)

    @pytest.fixture
    def away(self, made):
        return made(endpoint="127.0.0.1:9")


@pytest.mark.skipif(os.environ.get("CORE_FAULTS") != "1", reason="the suite once more: CORE_FAULTS=1 runs it")
class TestEcrWithConnector(ContainerRegistrySuite):
    @pytest.fixture
    def registry(self, aws, linked):
        return linked(aws.user(statement("ecr:*", "sts:GetFederationToken")), method="federation-token")

    @pytest.fixture
    def refused(self, aws, linked):
        user = aws.user(statement("ecr:*"))
        aws.lifetime(user, 0.0)
        return linked(user)


def test_without_permission_to_make_a_repository(aws, linked):
    user = aws.user(statement("ecr:*"), statement("ecr:CreateRepository", effect="Deny"))
    with pytest.raises(NotAllowedError, match="make the repository 'a/b': the permission ecr:CreateRepository is miss"):
        linked(user).ensure("a/b")


def test_where_repositories_are_not_to_be_made(aws, made):
    registry = made(f"{HOST}/team", create_repositories=False)
    with pytest.raises(NotFoundError, match="'team/app-x' does not exist in") as caught:
        registry.ensure("app-x")
    assert f"`aws ecr create-repository --region {REGION} --repository-name team/app-x`" in caught.value.hint
    assert "create_repositories=true" in caught.value.hint
    aws.client("ecr").create_repository(repositoryName="team/app-x")
    registry.ensure("app-x")


def test_a_registry_of_another_account(made, linked, aws):
    for registry in (made(HOST.replace(ACCOUNT, "999999999999")), linked(aws.user(statement("*")), "999999999999" + HOST[12:])):  # fmt: skip
        with pytest.raises(NotAllowedError, match=f"is of account 999999999999, the keys are of {ACCOUNT}") as caught:
            registry.ensure("app")
        assert "connector of account 999999999999" in caught.value.hint


def test_wrong_keys_are_told_as_such(aws, made):
    with pytest.raises(AuthenticationError, match="does not accept the credentials"):
        made(keys=aws.root._replace(secret_access_key="wrong" * 8)).ensure("app")


def test_a_connector_that_gives_a_login_only(made, aws, linked):
    registry = linked(aws.root)
    given = registry.credentials()
    login = {key: given.values[key] for key in ("server", "username", "password")}
    registry.credentials = lambda: given._replace(values=login)
    registry.verify()
    with pytest.raises(NotAllowedError, match="no keys with which to make a repository"):
        registry.ensure("app")


def test_a_login_is_kept_and_renewed_before_it_ends(aws, made):
    user = aws.user(statement("ecr:*"))
    registry = made(keys=user)
    first = registry.login()
    assert registry.login() is first
    aws.lifetime(user, module.FRESH - 10)
    short = made(keys=user)
    assert short.login().password != short.login().password


def test_a_push_outlives_its_login(aws, made, monkeypatch):
    """The registry asks again who we are when its token is over, and then a new login is there."""
    monkeypatch.setattr(module, "FRESH", 0.2)
    user, name = aws.user(statement("ecr:*")), f"core-{uuid4().hex[:8]}"
    aws.lifetime(user, 0.6)
    registry = made(keys=user)
    registry.ensure(name)
    old = registry.login()
    time.sleep(0.7)
    with Repository(parse_reference(registry.repository(name)), registry.login, push=True) as repository:
        assert push_tiny_image(repository, "v1") == repository.head("v1")
    assert registry.login().password != old.password


def test_a_login_for_one_that_may_only_pull(aws, made):
    name = f"core-{uuid4().hex[:8]}"
    made().ensure(name)
    reader = made(keys=aws.user(statement("ecr:GetAuthorizationToken", "ecr:BatchGetImage")))
    reader.verify()
    with Repository(parse_reference(reader.repository(name)), reader.login, push=True) as repository:
        assert repository.head("v1") == ""
        with pytest.raises(NotAllowedError):
            push_tiny_image(repository, "v1")


@pytest.mark.parametrize(
    ("uri", "account", "region", "prefix", "partition"),
    [
        (HOST, ACCOUNT, REGION, "", "aws"),
        (f"https://{HOST}/team/", ACCOUNT, REGION, "team", "aws"),
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b", "111122223333", "cn-north-1", "a/b", "aws-cn"),
        ("111122223333.dkr.ecr.us-gov-west-1.amazonaws.com", "111122223333", "us-gov-west-1", "", "aws-us-gov"),
        ("111122223333.dkr.ecr-fips.us-east-1.amazonaws.com", "111122223333", "us-east-1", "", "aws"),
        ("111122223333.dkr-ecr.eu-west-1.on.aws", "111122223333", "eu-west-1", "", "aws"),
        ("111122223333.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "111122223333", "cn-north-1", "", "aws-cn"),
        ("111122223333.dkr.ecr.eu-west-1.ecr.example.com", "111122223333", "eu-west-1", "", "aws"),
    ],
)
def test_addresses(uri, account, region, prefix, partition):
    found = parse_registry(uri)
    assert (found.account, found.region, found.prefix, found.partition) == (account, region, prefix, partition)
    assert EcrContainerRegistry(EcrSettings(uri=uri)).repository("app").endswith(f"/{prefix}/app" if prefix else "/app")
    policy = json.loads(scope_of("docker-registry", uri, {}).policy())
    assert policy["Statement"][1]["Resource"] == f"arn:{partition}:ecr:{region}:{account}:repository/*"


@pytest.mark.parametrize("uri", ["", "123.dkr.ecr.eu-west-1.amazonaws.com", "docker.io/me", f"{HOST}/Upper", f"{HOST}:443"])  # fmt: skip
def test_what_is_no_registry_of_ecr(uri):
    with pytest.raises(ValidationError, match=r"expected `ACCOUNT.dkr.ecr.REGION.amazonaws.com`"):
        EcrSettings(uri=uri)


def test_the_registry_of_china_is_listed_under_its_own_name():
    assert registry_host(ACCOUNT, "cn-north-1") == f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert registry_host(ACCOUNT, REGION) == HOST


def test_the_region_of_the_address_is_asked(aws, made):
    made(registry_host(ACCOUNT, "ap-south-1")).ensure("far-away")
    client = aws._replace(region="ap-south-1").client("ecr")
    assert [found["repositoryName"] for found in client.describe_repositories()["repositories"]] == ["far-away"]
