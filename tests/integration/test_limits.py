"""Large graphs, loud steps, many processes, full and read-only disks: a clear end each time, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from core import Client, RunFailed, pipeline, step
from core.errors import CoreError
from core.model.states import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


FULL = os.environ.get("CORE_FAULTS") == "1"
"""Whether everything has the size of which the promises speak (`make test-faults`), or what goes with each change."""
DEEP, WIDE, MEGABYTES, PROCESSES = (10_000, 5_000, 100, 32) if FULL else (2_000, 1_000, 10, 8)


@step
def number() -> int:
    return 1


@step
def add(value: int) -> int:
    return value + 1


@step
def total(values: list[int]) -> int:
    return sum(values)


@step
def chatter(megabytes: int) -> int:
    line = "x" * 999
    for _ in range(megabytes * 1000):
        print(line)
    return 1


@step
def strange() -> int:
    sys.stdout.buffer.write(bytes(range(256)) + b"\n")
    print("\x1b[31mred\x1b[2J\r\b end")
    return 1


@step
def big(size: int) -> bytes:
    return os.urandom(size)


def test_deep() -> None:
    @pipeline
    def deep() -> int:
        value = number()
        for _ in range(DEEP - 1):
            value = add(value)
        return value

    run = deep()
    assert run.state is RunState.COMPLETED
    assert run.steps[f"add_{DEEP - 1}"].outputs["output"].load() == DEEP


def test_wide() -> None:
    wide = pipeline(lambda: total(add.map(list(range(WIDE)))))
    assert wide().steps["total"].outputs["output"].load() == sum(range(1, WIDE + 1))
    again = wide()
    assert {str(s.state) for s in again.steps.values()} == {"reused"}


def test_a_step_that_prints_more_than_is_kept(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 1 << (26 if FULL else 22)  # 26 is the default
    if not FULL:
        monkeypatch.setenv("CORE_LOG_LIMIT", str(limit))
    run = pipeline(lambda: chatter(MEGABYTES))()
    head, gap, tail = re.split(r"\n?\.\.\. ([\d,]+) bytes left out \.\.\.\n", run.steps["chatter"].log())
    assert len(head) == limit // 2
    assert len(head) + int(gap.replace(",", "")) + len(tail) == MEGABYTES * 1_000_000
    assert len(capfd.readouterr().out) == MEGABYTES * 1_000_000


LOUD = """
from core import pipeline, step

@step
def loud() -> int:
    line = "x" * 99_999
    for _ in range(20_000):
        print(line)
    return 1

@pipeline
def flow():
    loud()

flow()
with open("/proc/self/status") as status, open("memory", "w") as file:  # getrusage tells of whoever started it, too
    file.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not FULL, reason="two gigabytes: CORE_FAULTS=1 runs it")
def test_two_gigabytes_through_a_worker(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(LOUD)
    environment = {**os.environ, "CORE_DISPLAY": "none", "CORE_WORKERS": "2"}
    with (tmp_path / "errors").open("wb") as errors:
        command = [sys.executable, "flow.py"]
        subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=errors, check=True)
    head, gap, tail = re.split(r"\n?\.\.\. ([\d,]+) bytes left out \.\.\.\n", Client().run().steps["loud"].log())
    assert len(head) + int(gap.replace(",", "")) + len(tail) == 2_000_000_000
    assert len(head) + len(tail) <= 64 << 20
    assert int((tmp_path / "memory").read_text()) < 200 << 10, "kB of the driver"


def test_binary_and_escape_sequences_stay_as_they_are_in_the_log(
    capfd: pytest.CaptureFixture[str], core_home: Path
) -> None:
    run = pipeline(lambda: strange())()
    kept = (core_home / "logs" / run.id / "strange.1.log").read_bytes()
    assert kept.startswith(bytes(range(256)) + b"\n")
    assert b"\x1b[31mred" in kept
    capfd.readouterr()


SCRIPT = """
import os, sys
from core import Client, pipeline, step

@step
def number(which: int) -> int:
    return which

@step
def add(value: int) -> int:
    return value + 1

@pipeline
def flow(which: int):
    value = number(which)
    for _ in range(8):
        value = add(value)

if __name__ == "__main__":
    run = flow(int(sys.argv[1]))
    assert run.steps["add_8"].outputs["output"].load() == int(sys.argv[1]) + 8
"""


def test_many_runs_at_once_in_one_home(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    command = [sys.executable, "flow.py"]
    environment = {**os.environ, "CORE_DISPLAY": "none"}
    started = [
        subprocess.Popen([*command, str(i)], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        for i in range(PROCESSES)
    ]
    errors = [process.communicate(timeout=120)[1].decode() for process in started]
    assert errors == [""] * PROCESSES
    rows = Client().runs(limit=None)
    assert [row.state for row in rows] == ["completed"] * PROCESSES


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home on a file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    monkeypatch.setenv("CORE_HOME", str(disk / "home"))
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_disk_full_for_an_artifact(small_disk: Path) -> None:
    good = pipeline(lambda: big(100_000))()
    with pytest.raises(RunFailed) as caught:
        pipeline(lambda: big(10_000_000))()
    cause = caught.value.__cause__
    assert isinstance(cause, CoreError)
    assert "No space left" in str(cause)
    assert caught.value.run.state is RunState.FAILED
    assert len(good.steps["big"].outputs["output"].load()) == 100_000
    leftovers = [name for _, _, names in os.walk(small_disk) for name in names if "tmp" in name.lower()]
    assert leftovers == []


def test_disk_full_for_the_database(small_disk: Path) -> None:
    flow = pipeline(lambda: add(number()))
    flow()
    with (small_disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(CoreError) as caught:
        _repeat(flow)
    assert "full" in str(caught.value).lower() or "space" in str(caught.value).lower()
    (small_disk / "filler").unlink()
    assert flow().state is RunState.COMPLETED
    assert all(row.state in {"completed", "failed", "lost"} for row in Client().runs(limit=None))


def _repeat(flow: Any) -> None:
    for _ in range(200):
        flow()


def test_read_only_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("CORE_HOME", str(blocker / "home"))
    with pytest.raises(CoreError, match="CORE_HOME"):
        pipeline(lambda: number())()


def test_sigterm_is_recorded_and_kills(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "import sys, time\nfrom core import pipeline, step\n@step\ndef wait() -> int:\n"
        "    print('here', flush=True)\n    time.sleep(60)\n    return 1\n@pipeline\ndef flow():\n    wait()\nflow()\n"
    )
    process = subprocess.Popen([sys.executable, "flow.py"], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    run = Client().run()
    assert [run.state, run.steps["wait"].state] == ["cancelled", "cancelled"]


def test_kill_9_in_a_step_reads_lost_at_once(tmp_path: Path, core_home: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    environment = {**os.environ, "CORE_FAILPOINTS": "attempt.returned=kill@3"}
    died = subprocess.run(
        [sys.executable, "flow.py", "5"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert died.returncode == -9
    client = Client()
    run = client.run()
    assert [str(s.state) for s in run.steps.values()][:4] == ["completed", "completed", "lost", "pending"]
    subprocess.run([sys.executable, "flow.py", "5"], cwd=tmp_path, check=True, capture_output=True)
    again = client.run()
    assert [str(s.state) for s in again.steps.values()][:3] == ["reused", "reused", "completed"]
