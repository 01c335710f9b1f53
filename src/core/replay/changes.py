"""What is not as it was when a run was recorded: code of steps, parameters, Python, core."""

from __future__ import annotations

from core.caller import client_data
from core.digest.code import fingerprint
from core.names import locate
from core.plan.reasons import differences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.view import RunView

    Document = Callable[[str], str]
    """Gives the text behind a digest, or raises `NotFoundError`."""

_CLIENT = ("python", "core", "platform")
_REST: dict[str, Any] = {"parameters": {}, "environment": {}, "materializers": {}, "outputs": [], "version": 0}


def step_changes(
    then: Mapping[str, Any], now: Mapping[str, Any], function: Any, step: str, document: Document
) -> list[str]:
    """What differs between two fingerprints of `step`; parts that `then` does not have are taken as unchanged."""
    return differences({**now, **then}, now, fingerprint(function), step, document)


def code_changes(view: RunView, document: Document) -> list[str]:
    """Functions that are not what they were when a step of the run began: `code of load changed (load.py:12)`.

    The pipeline's file must be imported by now; steps that can't be found are passed over.
    """
    told: dict[str, None] = {}
    nodes = view.graph.by_id
    ran = {(nodes[name].step, s.last.fingerprint.get("code", "")) for name, s in view.steps.items() if s.last}
    for step, code in sorted(pair for pair in ran if pair[1]):
        try:
            function = function_of(locate(step))
        except (ImportError, AttributeError):
            continue
        told.update(dict.fromkeys(_code_changes(code, function, step, document)))
    return list(told)


def client_changes(view: RunView) -> list[str]:
    """`python 3.11.9 -> 3.12.1`: what of the client that recorded the run is another here."""
    then, now = view.environment, client_data()
    return [f"{name} {then[name]} -> {now[name]}" for name in _CLIENT if then.get(name, now[name]) != now[name]]


def function_of(found: Any) -> Any:
    """The function of what a step's name stands for: a step, or a function that was made one elsewhere."""
    return getattr(getattr(found, "spec", None), "function", found)


def _code_changes(then: str, function: Any, step: str, document: Document) -> list[str]:
    now = fingerprint(function)
    return differences({**_REST, "code": then}, {**_REST, "code": now.digest}, now, step, document)
