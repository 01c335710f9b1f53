"""Events to try stores with: single ones, and histories of runs with retries, resumes, zombies and reuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.model.event import Event, EventKind

if TYPE_CHECKING:
    import random

    from core.ports.tracking_store import TrackingStore

HOSTILE = (
    "..",
    "../../etc/passwd",
    "nul\0inside",
    "x" * 300,
    "\u202eright to left \u05d0",
    "; DROP TABLE events; --",
    "'quoted' \"twice\" `thrice`",
    "%_[*]?",
    "new\nline",
    "\U0001f680",
)
"""Names that break careless stores; other suites may use them too."""


def run_id(number: int) -> str:
    """Run ids as UUIDv7 sort: by time."""
    return f"0197f000-0000-7000-8000-{number:012x}"


def event(kind: str, run: str = run_id(1), step: str = "", attempt: int = 0, seq: int = 0, **more: Any) -> Event:
    """An event; `more` are its other fields, those that no event has go to `data`."""
    fields = {name: more.pop(name) for name in ("writer", "at", "epoch", "project", "actor", "version") if name in more}
    return Event(
        run,
        step,
        attempt,
        fields.pop("writer", "w"),
        seq,
        kind,
        fields.pop("at", 100.0 + seq),
        fields.pop("epoch", 1),
        more,
        **fields,
    )


def started(run: str = run_id(1), **more: Any) -> Event:
    """A run's start."""
    return event(EventKind.RUN_STARTED, run, **{"pipeline": "training", "stack": "default", **more})


def ended(run: str = run_id(1), **more: Any) -> Event:
    """A run's end."""
    return event(EventKind.RUN_ENDED, run, **{"seq": 99, "state": "completed", **more})


def resumed(run: str = run_id(1), **more: Any) -> Event:
    """A new owner goes on with a run, in epoch 2."""
    return event(EventKind.RUN_RESUMED, run, **{"epoch": 2, "writer": "x", "again": [], **more})


def completed(key: str = "k", run: str = run_id(1), step: str = "load", attempt: int = 1, **more: Any) -> Event:
    """A completed attempt with one output that has a part."""
    output = {
        "digest": f"blake3:{key}",
        "size": 2,
        "type": "builtins:int",
        "materializer": "json",
        "text": "12",
        "parts": [f"part:{key}"],
    }
    data: dict[str, Any] = {
        "seq": 2,
        "key": key,
        "pipeline": "training",
        "fingerprint": {"code": key},
        "outputs": {"output": output},
    }
    return event(EventKind.ATTEMPT_COMPLETED, run, step, attempt, **{**data, **more})


def history(chance: random.Random) -> list[Event]:
    """Events of a few runs with retries, resumes, zombies and reuses, each key once."""
    events: dict[tuple[str, str, int, str, int], Event] = {}
    for number in range(1, 5):
        run = run_id(number)
        for seq in range(14):
            epoch, writer, at = chance.randint(1, 3), chance.choice("xyz"), float(chance.randint(1, 6))
            common: dict[str, Any] = {"epoch": epoch, "writer": writer, "at": at, "seq": chance.randint(0, 4)}
            key = f"k{chance.randint(0, 3)}"
            kind = chance.choice(["start", "end", "done", "done", "fail", "reuse", "resume", "cancel", "preempted"])
            step, attempt = chance.choice(["load", "train"]), chance.randint(1, 2)
            if kind == "start":
                told = started(run, **common, pipeline=f"p{seq % 2}", stack=f"s{epoch}", actor=writer)
            elif kind == "end":
                told = ended(run, **common, state=chance.choice(["completed", "failed"]))
            elif kind == "resume":
                told = resumed(run, **common)
            elif kind == "cancel":
                told = event(EventKind.CANCEL_REQUESTED, run, **{**common, "epoch": 0, "writer": f"cancel-{writer}"})
            elif kind == "done":
                told = completed(key, run, step, attempt, **common)
            elif kind in ("fail", "preempted"):
                ending = EventKind.ATTEMPT_FAILED if kind == "fail" else EventKind.ATTEMPT_PREEMPTED
                told = event(ending, run, step, attempt, **common)
            else:
                told = event(
                    EventKind.STEP_REUSED,
                    run,
                    step,
                    attempt,
                    **common,
                    pipeline="training",
                    fingerprint={"reused": key},
                )
            events.setdefault(told[:5], told)
    return list(events.values())


def answers_of(store: TrackingStore) -> list[Any]:
    """Everything that a store says of its events."""
    return [
        store.runs(limit=None),
        [store.events(run_id(number)) for number in range(1, 5)],
        store.cached([f"k{number}" for number in range(4)]),
        [store.latest("training", step) for step in ("load", "train")],
        [store.recorded(f"part:k{number}") for number in range(4)],
        store.find_run("0197"),
    ]
