"""Why a step runs or is reused, in words: two fingerprints and the documents of their code compared."""

from __future__ import annotations

import json

from core.digest.canonical import pack
from core.errors import NotFoundError
from core.text import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from core.digest.code import CodeFingerprint

MAX_REASONS = 3
MAX_VALUE = 60
"""Characters up to which a parameter's value is shown."""
_ABSENT = object()
_EXACT = frozenset({str, int, bool, type(None)})


def join(reasons: list[str]) -> str:
    """At most three reasons in one line, and how many more there are."""
    more = len(reasons) - MAX_REASONS
    return "; ".join(reasons if more <= 0 else [*reasons[:MAX_REASONS], f"and {more} more"])


def ago(seconds: float) -> str:
    """`5 s`, `3 min`, `2 h` or `4 d`, rounded down."""
    seconds = max(0.0, seconds)
    for unit, size, limit in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400)} d"


def unchanged(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether every part of fingerprint `new` stands in `old` alike, by a quick look."""
    return all(old.get(part) == value for part, value in new.items())


def differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    code: CodeFingerprint,
    function: str,
    document: Callable[[str], str],
) -> list[str]:
    """What changed from fingerprint `old` to `new`; parts that `new` does not have (inputs not known yet) are left out.

    `code` is the code behind `new`, `function` the step's own `module:qualname`; `document` gives the text behind a
    digest, or raises `NotFoundError`.
    """
    reasons = list(_code(old.get("code", ""), code, function, document))
    reasons += _parameters(old.get("parameters", {}), new["parameters"])
    reasons += _inputs(old.get("inputs", {}), new.get("inputs", {})) if "inputs" in new else ()
    for field, what in (("environment", "environment variable"), ("materializers", "materializer of")):
        reasons += (f"{what} {name} changed" for name in _changed(old.get(field, {}), new[field]))
    if list(old.get("outputs", new["outputs"])) != new["outputs"]:
        reasons.append("names of its outputs changed")
    if old.get("walked") != new.get("walked"):
        reasons.append(f"its items are {'now' if new.get('walked') else 'no longer'} taken one by one")
    if old.get("version") != new["version"]:
        reasons.append("this version of core makes cache keys in another way")
    return reasons


def _code(old: str, code: CodeFingerprint, function: str, document: Callable[[str], str]) -> Iterator[str]:
    if old == code.digest:
        return
    try:
        before = json.loads(document(old))
    except (NotFoundError, ValueError):
        before = None
    own = function if function in code.parts else list(code.parts)[-1]
    if not isinstance(before, dict):  # only that it changed is known
        yield f"code of {_label(own)} changed{_at(code.parts[own][1])}"
        return
    gone = {_label(name): name for name in before if name not in code.parts}
    moved = {name: gone[_label(name)] for name in code.parts if name not in before and _label(name) in gone}
    for name in sorted({*before, *code.parts} - {*moved.values()}, key=lambda name: (name != own, name)):
        if name in moved:
            yield f"code of {_label(name)} moved from {before[moved[name]][1]} to {code.parts[name][1]}"
        elif name not in code.parts:
            yield f"code of {_label(name)} removed{_at(before[name][1])}"
        elif name not in before:
            yield f"code of {_label(name)} added{_at(code.parts[name][1])}"
        elif before[name][0] != code.parts[name][0]:
            yield f"code of {_label(name)} changed{_at(code.parts[name][1])}"


def _at(place: str) -> str:
    """Where it stands, for people; of a name that was typed into a session nothing but the session is known."""
    file, _, line = place.rpartition(":")
    if file.startswith("<ipython-input-"):
        return f" (cell {file.split('-')[2]}, line {line})"
    return f" ({place})" if place else ""


def _label(part: str) -> str:
    """What a person calls `module:qualname`."""
    module, _, qualname = part.partition(":")
    return qualname.replace("<locals>.", "") or module


def _parameters(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in _changed(old, new):
        if name not in old:
            yield f"parameter {name} added"
        elif name not in new:
            yield f"parameter {name} removed"
        else:
            yield from _parameter(name, old[name], new[name])


def _parameter(name: str, old: Any, new: Any) -> Iterator[str]:
    """From which value to which; of an object of a class only the fields that differ."""
    fields = [value["value"] for value in (old, new) if _is_object(value)]
    if len(fields) == 2 and old["$"] == new["$"] and fields[0].keys() == fields[1].keys():
        for field in _changed(*fields):
            yield from _parameter(f"{name}.{field}", fields[0][field], fields[1][field])
        return
    yield f"parameter {name} {f'{readable(old)} -> {readable(new)}' if _shown(old) and _shown(new) else 'changed'}"


def _is_object(plain: Any) -> bool:
    return isinstance(plain, dict) and ":" in str(plain.get("$")) and isinstance(plain.get("value"), dict)


def _shown(value: Any) -> bool:
    cut = isinstance(value, dict) and list(value) == ["digest"]  # what `own_fingerprint` leaves of a large value
    return not cut and len(readable(value)) <= MAX_VALUE


def _inputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):  # all of it text: no 1 that equals True
            continue
        was, now = old.get(name), new.get(name)
        if was is None or now is None:
            yield f"input {name} {'added' if was is None else 'removed'}"
            continue
        pairs = list(zip(was, now, strict=False)) if len(was) == len(now) else []
        told = dict.fromkeys(f"input {b[1]} of step {b[0]} changed" for a, b in pairs if a[2] != b[2] and b[0])
        if told:
            yield from told
        elif not pairs or any(a[2] != b[2] for a, b in pairs):
            yield f"input {name} changed"


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names whose values differ or that only one side has; typed, so that 1 is neither 1.0 nor True."""
    if not old and not new:
        return []
    names = sorted({*old, *new})
    return [name for name in names if not _same(old.get(name, _ABSENT), new.get(name, _ABSENT))]


def _same(old: Any, new: Any) -> bool:
    if old is _ABSENT or new is _ABSENT:
        return old is new
    if type(old) is type(new) and type(old) in _EXACT:
        return bool(old == new)
    return pack(old) == pack(new)
