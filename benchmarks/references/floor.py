"""`floor`: what `ref` does, and for each step a cache key, a digest, and two commits with the output inline in its row.

The least that recording a run can cost with the standard library: `floor.py hello|chain FOLDER SEED`. Run again with the
same seed, every step is found in the database instead.
"""

import hashlib
import json
import sqlite3
import sys

SCHEMA = "CREATE TABLE IF NOT EXISTS step (run TEXT, name TEXT, key TEXT, digest TEXT, output TEXT, state TEXT)"
INDEX = "CREATE INDEX IF NOT EXISTS by_key ON step (key)"


def number(seed):
    return seed


def double(x):
    return x * 2


def inc(x):
    return x + 1


def digest(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def connect(path):
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(SCHEMA)
    database.execute(INDEX)
    return database


def commit(database, sql, values):
    database.execute("BEGIN IMMEDIATE")
    database.execute(sql, values)
    database.execute("COMMIT")


def step(database, run, name, function, *args):
    """Call `function` and record it, or find what an equal call gave."""
    key = digest(json.dumps([function.__qualname__, function.__code__.co_code.hex(), args]).encode())
    found = database.execute("SELECT output FROM step WHERE key = ? AND state = 'completed'", (key,)).fetchone()
    if found:
        return json.loads(found[0])
    commit(database, "INSERT INTO step (run, name, key, state) VALUES (?, ?, ?, 'running')", (run, name, key))
    value = function(*args)
    output = json.dumps(value)
    sql = "UPDATE step SET state = 'completed', output = ?, digest = ? WHERE key = ?"
    commit(database, sql, (output, digest(output.encode()), key))
    return value


def hello(database, seed):
    step(database, str(seed), "double", double, step(database, str(seed), "number", number, seed))


def chain(database, seed, count=100):
    value = seed
    for index in range(count):
        value = step(database, str(seed), f"inc_{index}", inc, value)
    return value


if __name__ == "__main__":
    work, folder, seed = sys.argv[1:]
    opened = connect(f"{folder}/floor.db")
    {"hello": hello, "chain": chain}[work](opened, int(seed))
    opened.close()
