"""Artifacts to a bucket and back, beside plain s3fs: a large one, and many small ones with the bucket far away."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import PYTHON, WORK, Bench, BenchmarkError, Figure, cost, figure
from core.testing.engines.aws import Aws, start_aws
from core.testing.engines.proxy import Fault, FaultProxy
from core.testing.engines.shared import Absent, Engines

if TYPE_CHECKING:
    from collections.abc import Iterator

FAR = 0.05
"""Seconds until a request is answered; S3's own documentation expects 0.1 to 0.2."""
ENOUGH = 1.25
"""Times the seconds of s3fs: at least 0.8 of its throughput."""


def large(bench: Bench) -> list[Figure]:
    """1 GB; the reference moves a file, core an array: through a file of this machine, hashed there and verified back."""
    size = bench.size(1000, 100)
    with _aws() as aws:
        rounds = _measured(bench, "large", aws, aws.endpoint, min(bench.runs, 4), size, 1)
    return _both(rounds, f"{size:,} MB", ENOUGH, "s3fs")


def small(bench: Bench) -> list[Figure]:
    """1,000 arrays in a list: of 1 kB (they lie in the list's own blob), and of 32 kB (blobs of their own)."""
    count, found = bench.size(1000, 100), []
    with _aws() as aws, FaultProxy(aws.endpoint) as proxy:
        proxy.fail(Fault(delay=FAR))
        for size in (1024, 32 * 1024):
            rounds = _measured(bench, "small", aws, proxy.url, min(bench.runs, 3), size, count)
            found += _both(rounds, f"{count:,} of {size // 1024} kB", 0.2, f"s3fs in a loop, {1000 * FAR:.0f} ms away")
    return found


def _both(rounds: Any, what: str, budget: float, against: str) -> list[Figure]:
    """Figures of both ways."""
    figures = []
    for way, name in enumerate((f"{what} to a bucket", f"{what} from a bucket")):
        ours, theirs = ([sides[side][way] for sides in rounds] for side in (0, 1))
        figures.append(figure(name, ours, theirs, "s wall", budget=budget, against=against))
    return figures


def _measured(bench: Bench, what: str, aws: Aws, endpoint: str, rounds: int, size: int, count: int) -> Any:
    keys = [aws.root.access_key_id, aws.root.secret_access_key]
    told = json.dumps({"endpoint": endpoint, "keys": keys, "region": aws.region, "bucket": aws.bucket()})
    return cost(bench, [PYTHON, WORK / "carried.py", what, told, rounds, size, count], report=True).said


@contextmanager
def _aws() -> Iterator[Aws]:
    with tempfile.TemporaryDirectory(prefix="core-aws-of-") as above:
        engines = Engines(Path(above, f"engines-{os.getpid()}"), os.getpid())
        try:
            yield Aws.from_data(engines.once("aws", start_aws))
        except Absent as absent:
            raise BenchmarkError(str(absent)) from absent
        finally:
            engines.close()
