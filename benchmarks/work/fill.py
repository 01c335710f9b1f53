"""Put COUNT finished runs into `CORE_HOME` through the tracking store's own port: `fill.py COUNT`."""

import sys
import time

from core.model.event import Event, EventKind
from core.record import run_id
from core.workspace import Workspace

BATCH = 1000
count = int(sys.argv[1])


def run(at):
    name = run_id()
    started = {
        "pipeline": "training",
        "graph": "blake3:00",
        "source": "run:training",
        "stack": "default",
        "parameters": {},
    }
    keys = {"epoch": 1, "project": "default", "actor": "bench@bench"}
    yield Event(name, "", 0, "w", 0, EventKind.RUN_STARTED, at, data=started, **keys)
    yield Event(name, "", 0, "w", 1, EventKind.RUN_ENDED, at + 1, data={"state": "completed", "error": ""}, **keys)


with Workspace() as workspace:
    for begin in range(0, count, BATCH):
        at = time.time()
        workspace.tracking.append([event for _ in range(min(BATCH, count - begin)) for event in run(at)])
