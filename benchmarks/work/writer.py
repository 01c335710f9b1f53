"""One of many processes that record at once: `writer.py core|floor FOLDER SEED COUNT`.

Says `ready` once it has started up and recorded one step, then waits for a line on standard input.
"""

import sys
from pathlib import Path

kind, folder, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if kind == "core":
    from chain import chain

    def work(seed, count):
        chain(seed, count)
else:
    sys.path.append(str(Path(__file__).resolve().parent.parent / "references"))
    import floor

    database = floor.connect(f"{folder}/floor.db")

    def work(seed, count):
        floor.chain(database, seed, count)


work(seed, 1)
print("ready", flush=True)
sys.stdin.readline()
work(seed + 1_000_000, count)
print("done", flush=True)
