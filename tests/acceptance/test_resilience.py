"""The example that a person can watch: a kill, what the record says, and going on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

EXAMPLE = Path(__file__).parents[2] / "examples" / "resilience" / "run.py"


def test_it_shows_a_kill_a_lost_run_and_going_on(python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    said = python(EXAMPLE).stdout
    acts = said.split("\n# ")[1:]
    assert re.search(r"training +lost", acts[1])
    assert re.search(r"load +completed[^\n]*\ntrain +lost", acts[1])
    assert "load: " not in acts[2]
    assert re.search(r"train: begins with epoch [2-5]", acts[2])
    assert re.search(r"state +completed", acts[2])
    assert "attempt 2 of 3 after WorkerDied" in acts[3]
    assert re.search(r"training +cancelled", acts[4])
    assert re.search(r"train: begins with epoch [2-5]", acts[4])
