"""When the parts of a run happened, seconds since 1970: of the run's id, its events, and its first step's output."""

import json
import sys

from core.model.event import EventKind
from core.workspace import Workspace

run = sys.argv[1]
with Workspace() as workspace:
    events = workspace.tracking.events(run)
    view = workspace.view(run)
    first = next(iter(view.steps.values()))
    at = {
        "images": int(run.replace("-", "")[:12], 16) / 1000,
        "started": next(event.at for event in events if event.kind == EventKind.RUN_STARTED),
        "launched": next(e.at for e in events if e.kind == EventKind.JOB_LAUNCHED and "handle" in e.data),
        "step": first.outputs["output"].load(),
        "end": next(event.at for event in events if event.kind == EventKind.RUN_ENDED),
    }
print(json.dumps(at))
