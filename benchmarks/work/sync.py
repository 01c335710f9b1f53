"""Bring COUNT runs of others from a bucket into an empty home, then look again: `sync.py COUNT`; prints JSON.

The reference lists the same objects and reads them, as s3fs does it, and keeps nothing.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from core.builtin.journal.batch import publish
from core.builtin.journal.sync import Exchange
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.model.event import Event, EventKind
from core.record import run_id
from core.testing.engines.aws import Aws, start_aws
from core.testing.engines.proxy import FaultProxy
from core.testing.engines.shared import Engines

STEPS = 5


def run(at):
    """The events of a run of `STEPS` steps."""
    name, keys = run_id(), {"epoch": 1, "project": "default", "actor": "bench@bench"}
    begun = {"pipeline": "training", "graph": "blake3:00", "source": "run:training", "stack": "cloud", "parameters": {}}
    told = [("", EventKind.RUN_STARTED, begun)]
    for number in range(STEPS):
        told += [
            (f"step_{number}", EventKind.ATTEMPT_STARTED, {"key": f"blake3:{number:064}", "reason": "new", "code": ""}),
            (f"step_{number}", EventKind.ATTEMPT_COMPLETED, {"outputs": {}, "seconds": 1.0}),
        ]
    told.append(("", EventKind.RUN_ENDED, {"state": "completed", "error": ""}))
    return [
        Event(name, step, int(bool(step)), "w", seq, kind, at + seq, data=data, **keys)
        for seq, (step, kind, data) in enumerate(told)
    ]


def timed(proxy, work):
    """Seconds of wall and of CPU, and requests."""
    proxy.reset_counts()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return [time.perf_counter() - wall, time.process_time() - cpu, proxy.count()]


def main(count):
    engines = Engines.of_session(worker=False)
    try:
        aws = Aws.from_data(engines.once("aws", start_aws))
        with FaultProxy(aws.endpoint) as proxy, TemporaryDirectory() as folder:
            os.environ.update(aws.root.environment(proxy.url))
            from core_plugin_aws.s3_store import S3ArtifactStore  # after the address is known
            from core_plugin_aws.settings import S3Settings

            area = S3ArtifactStore(S3Settings(path=f"s3://{aws.bucket()}/runs-of-all", endpoint_url=proxy.url))
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda events: publish(area, events, {}), [run(time.time()) for _ in range(count)]))
            fs, root = area.fs, f"{area.root}/runs"
            database = Database(str(Path(folder, "core.db")))
            exchange = Exchange(area, SqliteTrackingStore(database))
            timed(proxy, lambda: fs.cat(fs.find(root)[:10]))
            found = {
                "plain": timed(proxy, lambda: fs.cat(fs.find(root))),
                "first": timed(proxy, exchange.sync),
                "second": timed(proxy, Exchange(area, SqliteTrackingStore(database)).sync),
                "listing": timed(proxy, lambda: fs.find(root)),
            }
            assert len(exchange.inner.runs(limit=None)) == count
            database.close()
    finally:
        engines.close()
    os.write(1, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
