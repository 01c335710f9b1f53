"""The driver of a detached run before it has begun, and when its time is over."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from core import driver
from core.detach import Beginning
from core.errors import StoreError


def test_an_errand_that_was_cut_short_is_told_apart() -> None:
    """It may be launched again."""
    told = b'{"version": 3, "run": "0197'
    ended = subprocess.run([sys.executable, "-m", "core.driver"], input=told, capture_output=True, check=False)
    assert ended.returncode == 75
    assert b"was told only a part of what it should do (27 bytes)" in ended.stderr


def test_its_time_is_over_though_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run can't be told to end, so its process ends."""

    def away(_settings: object) -> None:
        raise StoreError("the store is away", "wait")

    ended: list[int] = []
    monkeypatch.setattr(driver, "Workspace", away)
    monkeypatch.setattr(driver, "MARGIN", 0.0)
    monkeypatch.setattr("os._exit", ended.append)
    workspace = object.__new__(driver.ErrandWorkspace)
    workspace.settings = SimpleNamespace(project="")  # type: ignore[assignment]
    workspace._errand = SimpleNamespace(run="0197", until=time.time())  # type: ignore[assignment]
    workspace._lent = []
    workspace.watch()
    until = time.monotonic() + 10
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
    assert ended == [143]


def test_who_does_not_wait_for_it_is_told_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    errand: Any = SimpleNamespace(run="0197", again=None)
    beginning = Beginning(errand, errand, errand, None)
    monkeypatch.setattr(beginning, "_ended", interrupted)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        beginning.wait(said.append)
    assert "goes on without you: `core runs cancel 0197` ends it" in said[0]
