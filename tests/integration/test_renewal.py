"""Credentials that end sooner than a step does are renewed inside it: in the driver's process and in workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from core import Client, pipeline, step
from core.cli import main
from core.testing import service_connector

if TYPE_CHECKING:
    from pathlib import Path

LIFE, LONG = 0.3, 1.5


@step(cache=False)
def long(number: int) -> list[int]:
    """Uses credentials all the time; gives how many there were, and how often they had ended."""
    give = Client().credentials("short", "memory-bucket", "mem://one")
    seen: dict[str, float] = {}
    ended = 0
    end = time.time() + LONG
    while time.time() < end:
        given = give()
        seen.setdefault(given.values["password"], time.time())
        ended += given.expires_at < time.time()
        time.sleep(0.01)
    gaps = [after - before for before, after in zip(list(seen.values()), list(seen.values())[1:], strict=False)]
    return [len(seen), ended, round(1000 * min(gaps)), service_connector.CLOUD.calls.count("credentials")]


@pipeline
def using() -> None:
    long(1)
    long.with_options(name="beside")(2)


@pytest.mark.parametrize("start", ["one process", "fork", "fresh"])
def test_renewed_inside_the_running_step(core_home: Path, monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.setenv("CORE_PLUGINS", "core.testing.service_connector")
    monkeypatch.setattr(service_connector, "CLOUD", service_connector.Cloud())
    register = ["service-connector", "register", "short", "--type", "memory", "--auth-method", "role"]
    assert main([*register, "--role=reader", f"--life={LIFE}"]) == 0
    if start != "one process":
        monkeypatch.setenv("CORE_START", start)
    run = using.with_options(workers=1 if start == "one process" else 2)()
    for name in ("long", "beside"):
        renewed, ended, gap, asked = run.steps[name].outputs["output"].load()
        assert renewed >= 4
        assert ended == 0
        assert gap >= 1000 * LIFE * 0.6, "not sooner than needed"
        assert asked <= renewed + (renewed + 2 if start == "one process" else 0), "nobody asks without need"
