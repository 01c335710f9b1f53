"""Draws docs/live.svg, the picture of the live tree in the README: `python docs/picture.py`.

A made-up run goes through the real display, so that the picture shows what a terminal shows.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from core.builtin.display.live import Picture
from core.builtin.display.tally import Tally
from core.model.event import Event, EventKind
from core.model.graph import Graph, Node
from core.model.plan import Action, Decision, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SAME = "same code, parameters and inputs as run 9c04e7d1 (3 min ago)"
RUN = "0198c2f1-0000-7000-8000-00004f1dab12"
NAMES = ("load", "split", "train_forest", "train_linear", "evaluate", "plot", "promote")
NOW = 1_800_000_003.1
FACTS: tuple[tuple[EventKind, str, float, dict[str, Any]], ...] = (
    (EventKind.RUN_STARTED, "", NOW - 3.1, {}),
    (EventKind.STEP_REUSED, "load", NOW - 3.0, {"reason": SAME}),
    (EventKind.ATTEMPT_STARTED, "split", NOW - 3.0, {"reason": "parameter test_size 0.2 -> 0.25"}),
    (EventKind.ATTEMPT_COMPLETED, "split", NOW - 2.8, {"seconds": 0.18}),
    (EventKind.ATTEMPT_STARTED, "train_forest", NOW - 2.8, {"reason": "input train of step split changed"}),
    (EventKind.ATTEMPT_COMPLETED, "train_forest", NOW - 1.2, {"seconds": 1.62}),
    (EventKind.ATTEMPT_STARTED, "train_linear", NOW - 1.2, {"reason": "code of train_linear changed (run.py:41)"}),
)


def main() -> None:
    """Write the picture."""
    nodes = tuple(Node(name, f"run:{name}", {}, {}, ("output",)) for name in NAMES)
    decisions = {name: Decision(Action.RUN, "never ran") for name in NAMES}
    tally = Tally()
    tally.plan(RUN, Plan(Graph("training", nodes), decisions, "default"))
    for seq, (kind, step, at, data) in enumerate(FACTS):
        tally.take(Event(RUN, step, 1 if step else 0, "docs", seq, kind, at, 1, dict(data)))
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=86, height=30, highlight=False)
    console.print(Picture(tally, clock=lambda: NOW))
    svg = console.export_svg(title="python run.py", theme=MONOKAI, unique_id="live")
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)  # pictures load nothing from elsewhere
    lines = (line.rstrip() for line in svg.strip().splitlines())
    Path(__file__).with_name("live.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
