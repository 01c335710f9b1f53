"""What the table of faults shares: pipelines of five shapes whose steps leave a trace, and what must hold after a death."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from blake3 import blake3

from core import Client

FULL = os.environ.get("CORE_FAULTS") == "1"
"""Whether the whole table is wanted (`make test-faults`) or the part that each change plays."""
HEARTBEAT = 0.2
LIMIT = 8
"""Resumes after which a run must be completed."""

HEAD = """
import os, time
from core import Retry, get_context, pipeline, step

def trace(*words):
    with open(os.environ["TRACE"], "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

def seen(word):
    try:
        with open(os.environ["TRACE"]) as file:
            return word in file.read().split()
    except FileNotFoundError:
        return False

@step(retry=Retry(attempts=3, delay=0.01, infrastructure=2))
def start(n: int) -> list[int]:
    context = get_context()
    again = seen("failed")
    trace("start")
    context.checkpoint(n)
    if not again:
        trace("failed")
        raise ValueError("the first try fails")
    time.sleep(0.03)
    return list(range(context.last_checkpoint(n)))

@step(retry=Retry(attempts=1, delay=0.01, infrastructure=2))
def work(name: str, items: list[int]) -> list[int]:
    trace(name)
    time.sleep(0.02)
    return [item + 1 for item in items]

@step(retry=Retry(attempts=1, delay=0.01, infrastructure=2))
def one(item: int) -> str:
    trace(f"one{item}")
    time.sleep(0.02)
    return str(item) * 9000  # a blob of its own

@step(retry=Retry(attempts=1, delay=0.01, infrastructure=2))
def gather(parts: list[str]) -> int:
    trace("gather")
    return sum(len(part) for part in parts)

@step(retry=Retry(attempts=1, delay=0.01, infrastructure=2))
def merge(parts: list[list[int]]) -> int:
    trace("merge")
    time.sleep(0.02)
    return sum(sum(part) for part in parts)

@step(retry=Retry(attempts=1, delay=0.01, infrastructure=2))
def enough(total: int) -> bool:
    trace("enough")
    return total > 10

def named(name):
    return work.with_options(name=name)
"""

SHAPES = {
    "chain": "data = start(3)\n    for name in 'abcd':\n        data = named(name)(name, data)\n    merge([data])",
    "fan": "data = start(3)\n    merge([named(name)(name, data) for name in 'abcdef'])",
    "diamond": "data = start(3)\n    merge([named('c')('c', named('a')('a', data)), named('d')('d', named('b')('b', data))])",
    "wide": "start(3)\n    for name in 'abcdef':\n        named(name)(name, [1, 2])",
    "dynamic": "total = gather(one.map(start(4)))\n    named('d').with_options(when=enough(total))('d', [1])",
}


class Table:
    """One pipeline of a shape, in a folder and a home of its own."""

    def __init__(self, folder: Path, shape: str, workers: int) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.script = folder / f"flow_{shape}.py"
        body = f"@pipeline\ndef flow():\n    {SHAPES[shape]}\n\nflow()\n"
        self.script.write_text(HEAD + body)
        self.environment = {
            **os.environ,
            "CORE_HOME": str(self.home),
            "TRACE": str(folder / "trace"),
            "CORE_WORKERS": str(workers),
            "CORE_HEARTBEAT": str(HEARTBEAT),
            "CORE_DISPLAY": "none",
            "CORE_GRACE": "1",
        }

    def begin(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start the script, or `core` with `words`."""
        command = ["-m", "core", *words] if words else [str(self.script)]
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def state(self) -> str:
        """What a listing says; empty when nothing was recorded."""
        rows = Client(str(self.home)).runs() if self.home.exists() else []
        assert len(rows) <= 1, rows
        return str(rows[0].state) if rows else ""

    def settled(self) -> str:
        """The state three heartbeats later at most: never "running" while nobody is at it."""
        until = time.monotonic() + 3 * HEARTBEAT + 2.0
        while (state := self.state()) == "running" and time.monotonic() < until:
            time.sleep(0.02)
        assert state != "running", "nobody is at it, and it reads running"
        return state

    def traces(self) -> Counter[str]:
        """How often each step's function was called."""
        path = self.folder / "trace"
        return Counter(path.read_text().split()) if path.exists() else Counter()

    def finished(self) -> set[str]:
        """Steps whose end is recorded."""
        steps = Client(str(self.home)).run().steps
        return {name for name, found in steps.items() if str(found.state) in {"completed", "reused"}}

    def complete(self, said: str = "") -> int:
        """Resume until it is completed; gives how often. What was finished must not run again."""
        for count in range(LIMIT):
            state = self.settled()
            if state == "":
                process = self.begin()
                said, _ = process.communicate(timeout=60)
                assert process.returncode == 0, said
                continue
            if state == "completed":
                return count
            assert state in {"lost", "failed"}, f"{state}: {said}"  # failed: every worker met the same failpoint
            finished, before = self.finished(), self.traces()
            process = self.begin("runs", "resume", "latest")
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
            after = self.traces()
            again = {name for name in finished if after[_word(name)] > before[_word(name)]}
            assert not again, f"finished, and done again: {again}"
        raise AssertionError(f"not completed after {LIMIT} resumes: {said}")

    def check(self) -> None:
        """The outcome exists once, every artifact is whole, nothing is left at work."""
        client = Client(str(self.home))
        run = client.run()
        assert str(run.state) == "completed"
        for name, found in run.steps.items():
            ends = [attempt for attempt in found.attempts if str(attempt.state) in {"completed", "reused"}]
            assert len(ends) == 1, f"{name} has {len(ends)} outcomes"
            for output in found.outputs.values():
                output.load()  # verified against its digest
        for path in self.home.glob("artifacts/**/*"):
            if path.is_file() and len(path.name) >= 60:
                assert blake3(path.read_bytes()).hexdigest().endswith(path.name[-40:]), path
        database = sqlite3.connect(self.home / "core.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
        self.alone()

    def alone(self) -> None:
        """No process of the run is left five seconds later."""
        until = time.monotonic() + 5
        while (left := processes(str(self.script))) and time.monotonic() < until:
            time.sleep(0.02)
        assert not left, left


def processes(word: str) -> list[int]:
    """Processes whose command line has `word`, zombies not counted."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                found.append(int(folder.name))
    return found


def _word(step: str) -> str:
    """What the step's function leaves in the trace."""
    return step.replace("[", "").replace("]", "")


def outputs(table: Table) -> dict[str, Any]:
    """Every output by step."""
    steps = Client(str(table.home)).run().steps
    return {name: [output.load() for output in found.outputs.values()] for name, found in steps.items()}
