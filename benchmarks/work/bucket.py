"""Requests that a run makes of a bucket, by what they are for: `bucket.py COUNT SECONDS [jobs]`; prints JSON.

A chain of COUNT steps of SECONDS each, with 50 kB in and out and a printed line, runs and runs again. A proxy counts.
"""

import json
import os
import sys
import time
from collections import Counter
from urllib.parse import unquote

from core import pipeline, step
from core.stack import Stack
from core.testing.engines.aws import Aws, start_aws
from core.testing.engines.proxy import FaultProxy
from core.testing.engines.shared import Engines
from core.testing.orchestrator import ProcessOrchestrator
from core.workspace import Workspace

SIZE = 50_000


@step
def grow(data: bytes, seconds: float) -> bytes:
    time.sleep(seconds)
    print(len(data))
    return data[1:] + bytes([data[-1] + 1])


@pipeline
def chain(count: int, seconds: float) -> None:
    data = bytes(SIZE)
    for _ in range(count):
        data = grow(data, seconds)


def purpose(method: str, path: str) -> str:
    """What a request is for."""
    path = unquote(unquote(path))
    if "/@lease" in path:
        return "leases"
    if "/logs/" in path:
        return "log chunks"
    if "max-keys=1" in path:
        return "credentials tried"
    if method == "GET" and "list-type" in path:
        return "looks"
    return f"{method} {'journal' if '/runs/' in path else 'artifact'}"


def counted(proxy: FaultProxy, count: int, seconds: float) -> dict[str, int]:
    proxy.reset_counts()
    chain(count, seconds)
    return Counter(purpose(*request) for request in proxy.requests)


def main(count: int, seconds: float, *, jobs: bool) -> None:
    engines = Engines.of_session(worker=False)
    try:
        aws = Aws.from_data(engines.once("aws", start_aws))
        with FaultProxy(aws.endpoint) as proxy:
            os.environ.update(aws.root.environment(proxy.url), CORE_DISPLAY="none")
            from core_plugin_aws.s3_store import S3ArtifactStore  # after the address is known
            from core_plugin_aws.settings import S3Settings

            store = S3ArtifactStore(S3Settings(path=f"s3://{aws.bucket()}/runs-of-all", endpoint_url=proxy.url))
            stack = Workspace().stack
            Workspace.stack = Stack("cloud", ProcessOrchestrator() if jobs else stack.orchestrator, store)
            found = [counted(proxy, count, seconds) for _ in range(2)]
    finally:
        engines.close()
    sys.stdout.flush()
    os.write(1, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), jobs=len(sys.argv) > 3)
