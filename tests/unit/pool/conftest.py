"""A bench that remembers, tasks of plain functions, and a pool of two workers."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import step
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
from core.execute import Bench, Task
from core.model.graph import Node
from core.model.plan import Action, Decision
from core.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.execute import Result


class Log:
    """Stands where `core.capture.Capture` stands."""

    def __init__(self) -> None:
        self.text: dict[tuple[str, int, str], bytearray] = defaultdict(bytearray)
        self.opened: list[tuple[str, int]] = []
        self.closed: list[tuple[str, int]] = []

    def open_attempt(self, step: str, attempt: int) -> None:
        self.opened.append((step, attempt))

    def feed(self, step: str, attempt: int, stream: str, data: bytes) -> None:
        assert (step, attempt) not in self.closed
        self.text[step, attempt, stream] += data

    def close_attempt(self, step: str, attempt: int) -> None:
        self.closed.append((step, attempt))

    def out(self, step: str, attempt: int = 1) -> str:
        return self.text[step, attempt, "stdout"].decode()

    def err(self, step: str, attempt: int = 1) -> str:
        return self.text[step, attempt, "stderr"].decode()


class Rig:
    """A pool with tasks of functions, run by name."""

    def __init__(self, folder: Path, functions: tuple[Callable[..., Any], ...], **options: Any) -> None:
        self.log = Log()
        self.events: list[tuple[Any, ...]] = []
        declared = options.pop("step", {})
        steps = [step(**declared)(function) for function in functions]
        self.specs = {each.spec.name: each.spec for each in steps}
        self.nodes = {name: Node(name, spec.id, {}, {}, ("output",)) for name, spec in self.specs.items()}
        store, table = LocalArtifactStore(str(folder / "store")), MaterializerTable()
        self.bench = Bench("run", "pipeline", self.emit, self.log, store, table, lambda _: False, 8192)  # type: ignore[arg-type]
        options = {"slots": 2, "grace": 5.0, "start": "fork", **options}
        self.pool = Pool(self.bench, self.specs, **options)
        self._attempts: dict[str, int] = defaultdict(int)

    def emit(self, kind: str, step: str, attempt: int, *, now: bool = False, **data: Any) -> None:
        self.events.append((kind, step, attempt, now, data, threading.current_thread()))

    def task(self, name: str, done: Any = None, **changes: Any) -> Task:
        self._attempts[name] += 1
        node = self.nodes[name]._replace(**changes)
        return Task(node, self.specs[name], Decision(Action.RUN, ""), self._attempts[name], done or {})

    def launch(self, name: str, *args: Any, **changes: Any) -> Task:
        task = self.task(name, *args, **changes)
        self.pool.launch(task)
        return task

    def ended(self, count: int = 1, seconds: float = 30) -> dict[str, Result]:
        found: dict[str, Result] = {}
        until = time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < until, f"only {found} ended"
            found |= {task.node.id: result for task, result in self.pool.wait(1.0)}
        return found

    def run(self, name: str, *args: Any, **changes: Any) -> Result:
        self.launch(name, *args, **changes)
        return self.ended()[name]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes a rig of functions whose pool is entered until the test ends."""
    made: list[Rig] = []

    def make(*functions: Callable[..., Any], **options: Any) -> Rig:
        one = Rig(tmp_path, functions, **options)
        one.pool.__enter__()
        made.append(one)
        return one

    yield make
    for one in made:
        one.pool.__exit__(None, None, None)


@pytest.fixture
def gone() -> Callable[..., bool]:
    """Whether a process ends within some seconds; one that nobody reaps has ended."""

    def check(pid: int, seconds: float = 5.0) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                    return True
            except (FileNotFoundError, ProcessLookupError):
                return True
            time.sleep(0.005)
        return False

    return check
