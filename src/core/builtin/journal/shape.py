"""What the data of an event looks like: others write journals too, and one event must not break every listing.

Fields and kinds that are not known here pass: a later version of core writes them, and readers pass them over.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from math import isfinite

from core.model.event import EventKind
from core.model.states import RunState, StepState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Check = Callable[[Any], bool]

WHOLE = 1 << 62
"""Whole numbers are below it."""
MANY = 1_000_000
"""Calls that a mapped step became, at most."""


def wrong(kind: str, data: Mapping[str, Any]) -> str:
    """The first field of an event's data that nobody could read; empty when all is well."""
    for name in REQUIRED.get(kind, ()):
        if name not in data:
            return name
    own = OF_KIND.get(kind, {})
    for name, value in data.items():
        check = own.get(name) or FIELDS.get(name)
        if check is not None and not check(value):
            return name
    return ""


def is_finite(value: Any) -> bool:
    """A number, and no larger than a float holds."""
    return (type(value) is float and isfinite(value)) or (type(value) is int and -WHOLE < value < WHOLE)


def is_count(value: Any) -> bool:
    """A whole number from 0 on."""
    return type(value) is int and 0 <= value < WHOLE


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(of: Check = lambda _: True) -> Check:
    return lambda value: isinstance(value, dict) and all(of(each) for each in value.values())


def _series(of: Check = lambda _: True) -> Check:
    return lambda value: isinstance(value, list) and all(of(each) for each in value)


def _maybe(of: Check) -> Check:
    return lambda value: value is None or of(value)


def _record(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    known = {**required, **optional}

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not value.keys() >= required.keys():
            return False
        return all(known[name](value[name]) for name in known.keys() & value.keys())

    return check


def _base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and a2b_base64(value) is not None
    except (Error, ValueError):
        return False


def _shape(value: Any) -> bool:
    return is_count(value) and value <= MANY if not isinstance(value, list) else all(map(_shape, value))


def _one_of(states: type[RunState | StepState]) -> Check:
    return lambda value: isinstance(value, str) and value in set(states)


_preview = _mapping()  # a materializer says in it what it likes
_ref = _record(
    {"digest": _text, "size": is_count, "type": _text, "materializer": _text},
    {"store": _text, "text": _text, "base64": _base64, "parts": _series(_text), "preview": _preview},
)
_inputs = _mapping(_series(lambda edge: isinstance(edge, list) and len(edge) > 2 and all(map(_text, edge))))
_error = _record({}, {"type": _text, "message": _text, "where": _text, "traceback": _text})
_described = _record(
    {},
    {
        "code": _text, "environment": _mapping(), "materializers": _mapping(), "outputs": _series(_text),
        "parameters": _mapping(), "walked": _mapping(), "inputs": _mapping(),
    },
)  # fmt: skip


def _fingerprint(value: Any) -> bool:
    """In the event, or the digest of the document that it is."""
    return value is None or _text(value) or _described(value)


FIELDS: dict[str, Check] = {
    "pipeline": _text, "stack": _text, "graph": _text, "key": _text, "reason": _text, "fault": _text, "on": _text,
    "job": _text, "orchestrator": _text, "origin": _text, "code": _text, "seconds": is_finite, "shape": _shape,
    "parameters": _mapping(), "client": _mapping(), "options": _mapping(), "handle": _mapping(), "values": _mapping(),
    "tags": _series(_text), "roots": _series(_text), "kinds": _series(_text), "artifact": _ref, "inputs": _inputs,
    "outputs": _mapping(_ref), "error": _maybe(_error), "fingerprint": _fingerprint,
    "images": _series(_record({"reference": _text, "steps": _series(_text)}, {})),
}  # fmt: skip
"""By name, whatever the kind."""
OF_KIND: dict[str, dict[str, Check]] = {
    EventKind.RUN_STARTED: {"source": _text, "code": _maybe(lambda _: True)},
    EventKind.RUN_RESUMED: {"retry": _series(_text), "again": _series(_text)},
    EventKind.RUN_ENDED: {"state": _one_of(RunState), "error": _text},
    EventKind.STEP_REUSED: {"source": _series()},
    EventKind.ATTEMPT_RETURNED: {"state": _one_of(StepState)},
    EventKind.ATTEMPT_FAILED: {"retry": _maybe(_mapping())},
    EventKind.ATTEMPT_PREEMPTED: {"retry": _maybe(_mapping())},
}
"""By kind, where it differs."""
REQUIRED: dict[str, tuple[str, ...]] = {
    EventKind.CHECKPOINT: ("artifact",),
    EventKind.METADATA: ("values",),
    EventKind.STEP_EXPANDED: ("shape",),
    EventKind.JOB_LAUNCHED: ("on", "job"),
    EventKind.ATTEMPT_RETURNED: ("state", "outputs", "seconds", "error", "kinds", "fault"),
}
"""What readers count on."""
