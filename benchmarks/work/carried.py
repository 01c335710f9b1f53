"""Artifacts in a bucket: `carried.py large|small AWS ROUNDS SIZE COUNT`; prints seconds of core and of s3fs, in turn.

`large`: one of SIZE MB there and back, its digest verified. `small`: COUNT arrays of SIZE bytes in a list, there and
back, against a loop that puts, then gets, one after another. AWS is JSON: `endpoint`, `keys` (two), `region`, `bucket`.
"""

import json
import os
import sys
import tempfile
import time

import numpy as np
from s3fs import S3FileSystem

from core.artifacts import load, save
from core.builtin.materializers.table import MaterializerTable
from core.ports.service_connector import Credentials
from core_plugin_aws.s3_store import S3ArtifactStore
from core_plugin_aws.settings import S3Settings

TABLE = MaterializerTable()
PATIENCE = 900
"""Seconds that a request may take: the server joins a gigabyte of parts while nobody hears of it."""


def timed(work):
    """Seconds that `work()` takes, and what it gives."""
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


class Bucket:
    """The same bucket by both ways."""

    def __init__(self, endpoint, keys, region, bucket):
        self.name, (key, secret) = bucket, keys
        options = {"client_kwargs": {"region_name": region}, "config_kwargs": {"read_timeout": PATIENCE}}
        self.plain = S3FileSystem(key=key, secret=secret, endpoint_url=endpoint, **options)
        values = {"access_key_id": key, "secret_access_key": secret, "region": region, "endpoint_url": endpoint}
        self.store = S3ArtifactStore(S3Settings(path=f"s3://{bucket}/core", request_timeout=PATIENCE))
        self.store.credentials = lambda: Credentials("s3-bucket", "", values)

    def ours(self, value):
        """Seconds to save and to load."""
        there, ref = timed(lambda: save(value, store=self.store, materializers=TABLE))
        back, again = timed(lambda: load(ref, store=self.store, materializers=TABLE, trusted=lambda _: False))
        assert all(map(np.array_equal, again, value)) if isinstance(value, list) else np.array_equal(again, value)
        return there, back

    def one_file(self, path):
        """Seconds of s3fs's put and get."""
        there, _ = timed(lambda: self.plain.put(path, f"{self.name}/plain/file"))
        back, _ = timed(lambda: self.plain.get(f"{self.name}/plain/file", f"{path}.back"))
        return there, back

    def loop(self, value):
        """Seconds of putting and of getting one after another: of a tenth of them, times ten."""
        tenth = value[::10]
        share = len(value) / len(tenth)

        def put():
            for number, item in enumerate(tenth):
                self.plain.pipe_file(f"{self.name}/plain/{number}", item.tobytes())

        def get():
            return [np.frombuffer(self.plain.cat_file(f"{self.name}/plain/{number}")) for number in range(len(tenth))]

        there, _ = timed(put)
        back, again = timed(get)
        assert all(map(np.array_equal, again, tenth))
        return there * share, back * share

    def empty(self):
        """Remove what both left."""
        self.plain.invalidate_cache()
        for folder in ("plain", "core"):
            self.plain.rm(f"{self.name}/{folder}", recursive=True)


def large(bucket, number, megabytes, _count):
    """Seconds of both."""
    value = np.random.default_rng(number).integers(0, 255, megabytes * 10**6, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        value.tofile(path)
        return in_turn(number, lambda: bucket.ours(value), lambda: bucket.one_file(path))


def in_turn(number, ours, theirs):
    """What both give; the one that goes second pays for what the first left to be written to the disk: they change."""
    if number % 2:
        return ours(), theirs()
    later = theirs()
    return ours(), later


def small(bucket, number, size, count):
    """Seconds of both."""
    value = list(np.random.default_rng(number).normal(size=(count, size // 8)))
    return in_turn(number, lambda: bucket.ours(value), lambda: bucket.loop(value))


if __name__ == "__main__":
    what, told, rounds, size, count = sys.argv[1], json.loads(sys.argv[2]), *map(int, sys.argv[3:])
    bucket = Bucket(**told)
    found = []
    for number in range(rounds + 1):
        found += [{"large": large, "small": small}[what](bucket, number, size, count)]
        bucket.empty()
    os.write(1, json.dumps(found[1:]).encode() + b"\n")
