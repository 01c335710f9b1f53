"""The `s3` artifact store against moto: the suite, settings, and what a bucket can refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.errors import CoreError
from core.testing.engines.aws import statement
from core.testing.suites.artifact_store import ArtifactStoreSuite, digest_of
from core_plugin_aws.settings import S3Settings

MIB = 1 << 20


class TestS3(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, s3):
        return s3()


def put(store, data):
    upload = store.begin()
    upload.write(data)
    upload.commit(digest_of(data))
    return digest_of(data)


def heads(aws, store):
    """What S3 says of each object of the bucket."""
    client = aws.client("s3")
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=store.bucket)["Contents"]]
    return {key.partition("some/folder/")[2]: client.head_object(Bucket=store.bucket, Key=key) for key in keys}


@pytest.mark.parametrize(
    "settings",
    [
        {"server_side_encryption": "AES256"},
        {"server_side_encryption": "aws:kms"},
        {"server_side_encryption": "aws:kms", "kms_key_id": "arn:aws:kms:eu-west-1:123456789012:key/mine"},
        {
            "server_side_encryption": "AES256",
            "storage_options": {"s3_additional_kwargs": {"StorageClass": "STANDARD_IA"}},
        },
    ],
)
def test_everything_is_encrypted_as_the_settings_say(aws, s3, settings):
    store = s3(**settings, part_size=5 * MIB)
    put(store, b"small")
    put(store, b"large" * 3 * MIB)
    store.write("runs/a/0.json", b"named")
    store.write("runs/a/1.json", b"new", new=True)
    found = heads(aws, store)
    assert len(found) == 4
    for head in found.values():
        assert head["ServerSideEncryption"] == settings["server_side_encryption"]
        assert head.get("SSEKMSKeyId") == settings.get("kms_key_id")
        assert head.get("StorageClass", "STANDARD") == settings.get("storage_options", {}).get("s3_additional_kwargs", {}).get("StorageClass", "STANDARD")  # fmt: skip


def test_listings_go_through_all_pages(s3):
    """As small as S3 lets us make them."""
    store = s3(storage_options={"s3_additional_kwargs": {"MaxKeys": 2}})
    digests = {put(store, bytes([number])) for number in range(5)}
    names = {f"runs/{number}/event.json" for number in range(5)}
    for name in names:
        store.write(name, b"x")
    assert {blob.digest for blob in store.list()} == digests
    assert {found.name for found in store.names("runs")} == names


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"path": "gs://bucket"}, "names no bucket"),
        ({"path": "s3://"}, "names no bucket"),
        ({"path": "s3://bucket/../other"}, "has a folder"),
        ({"path": "s3://bucket", "kms_key_id": "x"}, "is not aws:kms"),
        ({"path": "s3://bucket", "server_side_encryption": "rot13"}, "server_side_encryption"),
        ({"path": "s3://bucket", "part_size": 1000}, "part_size"),
        ({"path": "s3://bucket", "regoin": "eu-west-1"}, "regoin"),
    ],
)
def test_settings_that_are_refused(settings, told):
    with pytest.raises(ValidationError, match=told):
        S3Settings(**settings)


OPERATIONS = {
    "write": lambda store: put(store, b"x"),
    "write parts": lambda store: put(store, b"x" * 11 * MIB),
    "open": lambda store: store.open(digest_of(b"there")),
    "exists": lambda store: store.exists(digest_of(b"there")),
    "list": lambda store: list(store.list()),
    "delete": lambda store: store.delete(digest_of(b"there")),
    "write named": lambda store: store.write("runs/a", b"x", new=True),
    "read named": lambda store: store.read("runs/there"),
    "names": lambda store: list(store.names("runs")),
    "verify": lambda store: store.verify(),
}


@pytest.fixture(scope="module")
def spoilt(aws):
    """Keys that do not open any bucket, and what is said of them."""
    short = aws.user(statement("*"))
    aws.lifetime(short, 0.0)
    return {
        "wrong": (aws.root._replace(secret_access_key="wrong" * 8), "AWS does not accept the credentials"),
        "expired": (aws.session(short), "the credentials have expired"),
        "weak": (aws.user(statement("ecr:*")), "the permission s3:[A-Za-z]+ is missing"),
    }


@pytest.mark.parametrize("who", ["wrong", "expired", "weak"])
def test_each_operation_tells_what_is_wrong_with_the_credentials(s3, spoilt, who):
    good = s3(part_size=5 * MIB)
    put(good, b"there")
    good.write("runs/there", b"x")
    keys, told = spoilt[who]
    store = s3(good.uri, keys, part_size=5 * MIB)
    for name, work in OPERATIONS.items():
        with pytest.raises(CoreError, match=told) as caught:
            work(store)
        assert caught.value.hint, name
        assert keys.secret_access_key not in str(caught.value)


@pytest.mark.parametrize("name", ["write", "write parts", "open", "delete", "write named", "names", "verify"])
def test_a_bucket_that_is_not_there(s3, name):
    with pytest.raises(CoreError, match="The specified bucket does not exist") as caught:
        OPERATIONS[name](s3("s3://bucket-that-is-not-there/x", part_size=5 * MIB))
    assert "list-resources" in caught.value.hint
