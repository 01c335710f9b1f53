"""What the tests of this plugin share: nothing of the person's own account, and stores and connectors on the engine."""

from __future__ import annotations

import pytest

from core.ports.service_connector import Credentials
from core_plugin_aws.s3_store import S3ArtifactStore
from core_plugin_aws.settings import S3Settings


@pytest.fixture(autouse=True)
def _alone(no_aws):
    """No test sees the account of whoever runs it."""


def lend(aws, keys):
    """A component's `credentials` that gives `keys`."""
    values = {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key, "session_token": keys.session_token}  # fmt: skip
    values |= {"region": aws.region, "endpoint_url": aws.endpoint}
    return lambda: Credentials("s3-bucket", "", {key: value for key, value in values.items() if value})


@pytest.fixture
def s3(aws):
    """Makes a store in `path` (by default a new bucket) with `keys` (root's by default) and any settings."""
    made = []

    def make(path="", keys=None, **settings):
        store = S3ArtifactStore(S3Settings(path=path or f"s3://{aws.bucket()}/some/folder", **settings))
        store.credentials = lend(aws, keys or aws.root)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()
