"""The `s3` store behind a proxy that makes trouble: tried again within bounds, told clearly, nothing half-published."""

from __future__ import annotations

import os
import time

import pytest

from core.errors import StoreError
from core.testing.engines.proxy import Fault
from core.testing.suites.artifact_store import digest_of
from core_plugin_aws import reading

BIG = 11 << 20
PART = 5 << 20


@pytest.fixture
def proxy(aws, fault_proxy):
    return fault_proxy(aws.endpoint)


@pytest.fixture
def store(s3, proxy):
    return s3(endpoint_url=proxy.url, retry_seconds=4, request_timeout=3, part_size=PART)


def put(store, data):
    upload = store.begin()
    try:
        upload.write(data)
        upload.commit(digest_of(data))
    finally:
        upload.abort()
    return digest_of(data)


def get(store, digest):
    with store.open(digest) as file:
        return file.read()


def uploads(aws, store):
    return aws.client("s3").list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])


ONCE = {
    "503": Fault(status=503, times=2),
    "429": Fault(status=429, times=1),
    "500": Fault(status=500, times=1),
    "reset": Fault(reset=True, times=2),
    "half sent": Fault(after=1000, times=1),
    "answer lost": Fault(lose=True, times=1),
}


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_writing_goes_on_after(store, proxy, fault):
    data = os.urandom(40_000)
    proxy.fail(fault._replace(method="PUT"))
    digest = put(store, data)
    assert proxy.count("PUT") == fault.times + 1
    assert get(store, digest) == data


@pytest.mark.parametrize("fault", [*ONCE.values(), Fault(cut=1000, times=1)], ids=[*ONCE, "answer cut"])
def test_reading_goes_on_after(store, proxy, fault):
    data = os.urandom(40_000)
    digest = put(store, data)
    proxy.fail(fault._replace(method="GET", after=-1, reset=fault.reset or fault.after > 0))
    assert get(store, digest) == data
    assert proxy.count("GET") == fault.times + 1


def test_a_wait_that_the_server_asks_for_is_kept(store, proxy):
    proxy.fail(Fault(method="PUT", status=429, retry_after="1", times=1))
    began = time.monotonic()
    put(store, b"later")
    assert time.monotonic() - began >= 1


def test_a_wait_beyond_the_deadline_is_not_begun(store, proxy):
    proxy.fail(Fault(method="PUT", status=429, retry_after="3600"))
    began = time.monotonic()
    with pytest.raises(StoreError):
        put(store, b"never")
    assert time.monotonic() - began < 4  # the deadline
    assert proxy.count("PUT") == 1


def test_retries_are_ours_alone(s3, proxy):
    store = s3(endpoint_url=proxy.url, retry_seconds=0)
    proxy.fail(Fault(status=503))
    for work in (lambda: put(store, b"x"), lambda: store.exists(digest_of(b"x")), lambda: store.open(digest_of(b"x"))):
        proxy.reset_counts()
        with pytest.raises(StoreError):
            work()
        assert proxy.count() == 1


def test_a_store_that_stays_away_is_told_in_time(store, proxy):
    put(store, b"connected")
    proxy.fail(Fault(status=503))
    began = time.monotonic()
    with pytest.raises(StoreError) as caught:
        put(store, b"never")
    assert 1 < time.monotonic() - began < 20  # the deadline is 4 s; a busy machine comes late
    assert store.uri in caught.value.message
    assert "write to" in caught.value.message
    assert caught.value.hint
    proxy.fail()
    assert not store.exists(digest_of(b"never"))


def test_a_part_that_fails_goes_again_alone(store, proxy):
    data = os.urandom(BIG)
    proxy.fail(
        Fault(method="PUT", path="partNumber=2", after=100_000, times=1), Fault(method="POST", status=503, times=1)
    )
    digest = put(store, data)
    assert proxy.count("PUT") == 4
    assert get(store, digest) == data


def test_an_upload_that_dies_in_the_middle_leaves_nothing(aws, store, proxy):
    data = os.urandom(BIG)
    proxy.fail(Fault(method="PUT", path="partNumber=2", after=100_000))
    with pytest.raises(StoreError):
        put(store, data)
    proxy.fail()
    assert list(store.list()) == []
    assert uploads(aws, store) == []


def test_the_answer_that_says_done_may_be_lost(store, proxy):
    data = os.urandom(BIG)
    proxy.fail(Fault(method="POST", path="uploadId=", lose=True, times=1))
    assert get(store, put(store, data)) == data


def test_what_a_killed_process_left_is_tidied(aws, store):
    begun = aws.client("s3").create_multipart_upload(Bucket=store.bucket, Key="some/folder/a/b")
    assert begun["UploadId"]
    assert store.tidy(0) == 0
    assert store.tidy(time.time() + 60, dry_run=True) == 1
    assert store.tidy(time.time() + 60) == 1
    assert uploads(aws, store) == []


def test_a_new_object_that_was_written_unseen_is_ours(store, proxy):
    proxy.fail(Fault(method="PUT", lose=True, times=1))
    assert store.write("runs/a/0.json", b"mine", new=True)
    assert not store.write("runs/a/0.json", b"other", new=True)


def test_a_slow_store_is_waited_for_and_a_slower_one_told(s3, proxy):
    store = s3(endpoint_url=proxy.url, retry_seconds=1, request_timeout=1.5)
    put(store, b"connected")
    proxy.fail(Fault(bytes_per_second=1000))
    put(store, b"x" * 300)
    with pytest.raises(StoreError, match="slow"):
        put(store, b"x" * 20_000)


def test_a_store_that_nobody_listens_at(s3):
    store = s3(endpoint_url="http://127.0.0.1:9", retry_seconds=0.5)
    with pytest.raises(StoreError, match="nobody answers"):
        put(store, b"x")


@pytest.mark.parametrize(
    "size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20, (3 << 20) - 1, 3 << 20, (5 << 20) + 1]
)
def test_parts_come_whole_and_in_order(store, proxy, monkeypatch, size):
    monkeypatch.setattr(reading, "PART", 1 << 20)
    data = os.urandom(size)
    digest, read = put(store, data), bytearray()
    with store.open(digest) as file:
        while piece := file.read(300_000):
            read += piece
    assert read == data
    assert proxy.count("GET") == -(-size // (1 << 20))


def test_parts_side_by_side_go_on_where_they_broke(store, proxy, monkeypatch):
    monkeypatch.setattr(reading, "PART", 1 << 20)
    data = os.urandom((3 << 20) + 12345)
    digest = put(store, data)
    assert get(store, digest) == data
    assert proxy.count("GET") == 4, "nobody asks beyond the end"
    proxy.fail(Fault(method="GET", cut=300_000, times=3))
    assert get(store, digest) == data
    assert proxy.count("GET") == 4 + 4 + 3
