"""Makes the golden database of the newest schema: run once per released schema, never again for an old one."""

import os
import sys

from core.builtin.sqlite.catalog import SqliteCatalog
from core.builtin.sqlite.connection import SCHEMA, Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.model.event import EventKind
from core.ports.catalog import Entry
from core.testing.suites.sample import completed, ended, event, run_id, started


def make(path):
    """Write three runs (completed, resumed, lost), a lease, a document and two stacks to a new file."""
    database = Database(path)
    store, catalog = SqliteTrackingStore(database, lambda: 1000.0), SqliteCatalog(database, lambda: 1000.0)
    lease = store.acquire(run_id(1), "golden", 60.0)
    store.append([started(graph="blake3:graph"), completed("a"), ended()], lease, {"blake3:graph": '{"nodes":[]}'})
    store.append([started(run_id(2)), ended(run_id(2), state="failed"), started(run_id(2), epoch=2, writer="x")])
    reused = event(
        EventKind.STEP_REUSED, run_id(2), "load", 1, 4, pipeline="training", fingerprint={"code": "a"}, outputs={}
    )
    store.append([reused, ended(run_id(2), epoch=2, writer="x"), started(run_id(3), project="other", surprise=[1])])
    store.cached([])
    catalog.put(
        catalog.put(Entry("stack", "default", 0, {"orchestrator": "local"}))._replace(data={"orchestrator": "docker"})
    )
    catalog.put(Entry("stack", "cloud", 0, {"of_the_future": True}, actor="me@here"))
    with database.transaction() as connection:  # nothing of the machine that made it
        connection.execute("UPDATE leases SET backing = '1:golden-boot:1'")
        connection.execute("INSERT INTO clocks VALUES ('golden-boot', 1000.0)")
        connection.execute("INSERT INTO folded VALUES ('s3://golden', 'runs/a/b/0-c.json')")
    store.close()
    database.close()
    os.unlink(f"{path}-locks")


if __name__ == "__main__":
    make(os.path.join(os.path.dirname(__file__), f"schema_{SCHEMA}.db") if len(sys.argv) < 2 else sys.argv[1])
