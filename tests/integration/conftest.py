"""What these tests share: a working folder with a pipeline in it, a way to be refused, homes that share a store."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core.cli import main

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Call = Callable[..., subprocess.CompletedProcess[str]]

FLOW = """
from typing import Annotated
from core import step, pipeline

@step
def make(size: int = 20_000) -> Annotated[str, "text"]:
    return "x" * size

@step(cache=False)
def use(text: str) -> int:
    return len(text)

@pipeline
def flow(size: int = 20_000, note: str = ""):
    use(make(size))

if __name__ == "__main__":
    flow()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with `flow.py` in it; programs that are started there talk in plain lines."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "flow.py").write_text(FLOW)
    monkeypatch.chdir(place)
    monkeypatch.setenv("CORE_DISPLAY", "none")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield place
    sys.modules.pop("flow", None)


@pytest.fixture
def refused(python: Call, core_home: Path) -> Callable[..., str]:
    """What a program says on stderr that ends with `code`; in it none of core's own frames, and no run was recorded."""

    def call(*words: object, code: int, recorded: bool = False) -> str:
        told = python(*words, code=code).stderr
        assert f"src{os.sep}core{os.sep}" not in told
        assert "hint: " in told
        assert recorded or not (core_home / "logs").exists()
        return told

    return call


SHARED = """
import os, sys, time
from pathlib import Path
from core import step, pipeline

@step
def load() -> list[int]:
    with open("calls.txt", "a") as file:
        file.write("load\\n")
    return [1, 2, 3]

@step
def train(data: list[int]) -> int:
    with open("calls.txt", "a") as file:
        file.write("train\\n")
    print("training", len(data), flush=True)
    if Path("broken").exists():
        raise ValueError("broken")
    while Path("slow").exists():
        time.sleep(0.02)
    return sum(data)

@pipeline
def training() -> None:
    train(load())
"""


class Homes:
    """A project, a shared store, and homes that are told apart by a letter."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.store = folder / "store"
        self._patch = monkeypatch
        self._capfd = capfd
        (folder / "work").mkdir()
        monkeypatch.chdir(folder / "work")
        monkeypatch.setenv("CORE_DISPLAY", "none")
        monkeypatch.setenv("CORE_HEARTBEAT", "0.5")
        monkeypatch.setattr(sys, "path", list(sys.path))
        Path("flow.py").write_text(SHARED)

    def use(self, letter: str, **settings: object) -> None:
        """Work in this home from now on; a new one gets the stack `team`."""
        home = self.folder / letter
        self._patch.setenv("CORE_HOME", str(home))
        if not home.exists():
            options = [f"--{name}={value}" for name, value in settings.items()]
            self("artifact-store", "register", "team", "-f", "local", f"--path={self.store}", "--shared=true", *options)
            self("stack", "register", "team", "-o", "default", "-a", "team")
            self("stack", "set", "team")

    def __call__(self, *words: str, code: int = 0) -> str:
        self._capfd.readouterr()
        sys.modules.pop("flow", None)
        ended = main(list(words))
        out, err = self._capfd.readouterr()
        assert ended == code, f"{words}: {ended}\n{out}\n{err}"
        self.err = err
        return out.strip()

    def data(self, *words: str) -> Any:
        return json.loads(self(*words, "-o", "json"))

    def until(self, true: Callable[[], object]) -> None:
        ends = time.monotonic() + 20
        while not true():
            assert time.monotonic() < ends
            time.sleep(0.1)

    def first_run(self) -> str:
        """The only run, once its second step is at work."""
        self.until(lambda: self("runs", "sync") is not None and self._at_work())
        return self.data("runs", "list")[0]["id"]

    def _at_work(self) -> bool:
        rows = self.data("runs", "list")
        return bool(rows) and self.data("runs", "show", rows[0]["id"])["steps"][1]["state"] == "running"

    def calls(self) -> list[str]:
        return Path("calls.txt").read_text().split()


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Homes]:
    """A shared store and homes to use it from."""
    yield Homes(tmp_path, monkeypatch, capfd)
    here = [name for name, one in sys.modules.items() if str(getattr(one, "__file__", "")).startswith(str(tmp_path))]
    for name in here:
        del sys.modules[name]
