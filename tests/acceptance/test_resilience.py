"""The example that a person can watch: a kill, what the record says, and going on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "resilience" / "run.py"


def test_it_shows_a_kill_a_lost_run_and_going_on(
    python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PACE", "0.2")
    before = set(EXAMPLE.parent.iterdir())
    said = python(EXAMPLE).stdout
    killed, lost, resumed, worker, retried, told, again = said.split("\n# ")[1:]
    assert "loading 1000 rows" in killed
    assert "(ended by SIGKILL)" in killed
    assert re.search(r"training +lost", lost)
    assert re.search(r"load +completed[^\n]*\ntrain +lost", lost)
    assert "loading" not in resumed
    assert re.search(r"begins with epoch [3-6]", resumed)
    assert re.search(r"state +completed", resumed)
    assert worker.count("loading 2000 rows") == 1
    assert re.search(r"begins with epoch [3-6]", worker)
    assert "(ended with exit code 0)" in worker
    assert "attempt 2 of 3 after WorkerDied" in retried
    assert "(ended by SIGTERM)" in told
    assert re.search(r"training +cancelled", told)
    assert "loading" not in again
    assert re.search(r"begins with epoch [3-6]", again)
    assert not list(tmp_path.iterdir())
    assert {path for path in EXAMPLE.parent.iterdir() if path.name != "__pycache__"} <= before
