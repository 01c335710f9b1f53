"""Listings of a connector go through all pages."""

from __future__ import annotations

import pytest

from core.testing.engines.aws import statement
from core_plugin_aws import clusters, connector


@pytest.fixture
def reader(aws):
    """A connector that may list."""
    user = aws.user(statement("*"))
    keys = {"aws_access_key_id": user.access_key_id, "aws_secret_access_key": user.secret_access_key}
    return lambda endpoint: connector.AwsConnector("secret-key", {**keys, "region": aws.region, "endpoint_url": endpoint})  # fmt: skip


def test_more_than_a_hundred_buckets(aws, reader, fault_proxy, monkeypatch):
    monkeypatch.setattr(connector, "PAGE", 50)
    made = {f"s3://{aws.bucket()}" for _ in range(101)}
    proxy = fault_proxy(aws.endpoint)
    found = list(reader(proxy.url).resources("s3-bucket"))
    assert made <= set(found)
    assert len(found) == len(set(found))
    assert proxy.count("GET") == -(-len(found) // 50) >= 3


def test_more_than_a_page_of_clusters(aws, reader, fault_proxy, monkeypatch):
    monkeypatch.setattr(clusters, "PAGE", 2)
    made = {aws.cluster() for _ in range(5)}
    proxy = fault_proxy(aws.endpoint)
    found = list(reader(proxy.url).resources("kubernetes-cluster"))
    assert made <= set(found)
    assert len(found) == len(set(found))
    assert proxy.count("GET") >= 3
