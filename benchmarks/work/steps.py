"""Milliseconds of CPU a step in this process, core and the references in turn: `steps.py RUNS COUNT`; prints JSON."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from chain import chain, inc

sys.path.append(str(Path(__file__).resolve().parent.parent / "references"))

import floor
import ref

runs, count = map(int, sys.argv[1:])


def took(work, *args):
    began = time.process_time()
    work(*args)
    return (time.process_time() - began) * 1000 / count


def plain(value):
    for _ in range(count):
        value = inc(value)


found = {"core": [], "reused": [], "floor": [], "floor_reused": [], "ref": [], "plain": []}
with tempfile.TemporaryDirectory() as folder:
    database = floor.connect(f"{folder}/floor.db")
    for number in range(runs + 1):
        seed = number * 10_000_000
        seen = {
            "core": took(chain, seed, count),
            "floor": took(floor.chain, database, seed, count),
            "reused": took(chain, seed, count),
            "floor_reused": took(floor.chain, database, seed, count),
            "ref": took(ref.chain, folder, seed, count),
            "plain": took(plain, seed),
        }
        for name, value in seen.items():
            found[name] += [value] if number else []
sys.stdout.flush()
os.write(1, json.dumps(found).encode() + b"\n")
