"""One of many processes that append at once: `appends.py core|floor FOLDER SEED COUNT`; prints how long each append took.

An append of core is the start and the end of a step, fenced and indexed, as a run of short steps makes them; the floor's
is one row. Says `ready`, waits for a line on standard input, and ends with a JSON list of seconds.
"""

import json
import sys
import time
from pathlib import Path

kind, folder, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if kind == "core":
    from core.builtin.sqlite.tracking import SqliteTrackingStore
    from core.model.event import Event

    run = f"{seed:032x}"
    store = SqliteTrackingStore(f"{folder}/core.db")
    lease = store.acquire(run, run, 600)

    def append(number):
        step, at = f"s{number}", time.time()
        ended = {"key": f"{run}{number}", "pipeline": "p", "outputs": {}}
        begun = Event(run, step, 1, "w", 2 * number, "attempt_started", at, 1, {})
        store.append([begun, Event(run, step, 1, "w", 2 * number + 1, "attempt_completed", at, 1, ended)], lease)
else:
    sys.path.append(str(Path(__file__).resolve().parent.parent / "references"))
    import floor

    database = floor.connect(f"{folder}/floor.db")

    def append(number):
        sql = "INSERT INTO step (run, name, key, state) VALUES (?, ?, ?, 'completed')"
        floor.commit(database, sql, (str(seed), f"s{number}", f"{seed} {number}"))


append(0)
print("ready", flush=True)
sys.stdin.readline()
took = []
for number in range(1, count + 1):
    began = time.perf_counter()
    append(number)
    took.append(time.perf_counter() - began)
    time.sleep(0.01)  # a run appends what 10 ms gave, at most
print("done", flush=True)
print(json.dumps(took), flush=True)
