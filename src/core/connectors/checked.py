"""Checks what people typed for a connector against what its type declares; imports none of its SDKs."""

from __future__ import annotations

from core.errors import NotFoundError, UsageError
from core.secrets.reference import refers
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.ports.service_connector import AuthMethod, ConnectorType, ResourceType


def method_of(kind: ConnectorType, name: str) -> AuthMethod:
    """The auth method `name`, or the first where no name is given."""
    for method in kind.methods:
        if name in {"", method.name}:
            return method
    names = [method.name for method in kind.methods]
    raise NotFoundError(
        f"connector type {kind.name!r} has no auth method {name!r}{closest(name, names)}",
        f"its methods: {', '.join(names)}; `core service-connector describe-type {kind.name}` tells more",
    )


def resource_type_of(kind: ConnectorType, name: str) -> ResourceType:
    """The resource type `name`; without a name the only one, else `UsageError`."""
    names = [each.name for each in kind.resource_types]
    for each in kind.resource_types:
        if name == each.name or (not name and len(names) == 1):
            return each
    if not name:
        raise UsageError(f"connector type {kind.name!r} has several resource types", f"name one: {', '.join(names)}")
    raise NotFoundError(
        f"connector type {kind.name!r} has no resource type {name!r}{closest(name, names)}",
        f"its resource types: {', '.join(names)}",
    )


def checked(kind: ConnectorType, method: AuthMethod, given: Mapping[str, str]) -> dict[str, str]:
    """`given` by the names of the method's fields, with its defaults.

    Raises `UsageError` for a field that is unknown (with the closest), missing, or has a value that it may not have.
    """
    where = f"connector type {kind.name!r}, auth method {method.name!r}"
    fields = {field.name: field for field in method.fields}
    settings: dict[str, str] = {}
    for typed, value in given.items():
        name = typed.replace("-", "_")
        if name not in fields:
            raise _unknown(kind, where, name, list(fields))
        if name in settings:
            raise UsageError(f"{where}: {name!r} is given twice", "give it once")
        choices = fields[name].choices
        match = {choice.lower(): choice for choice in choices}.get(value.lower())
        if choices and match is None and not refers(value):
            shown = "that" if fields[name].secret else repr(value)
            raise UsageError(
                f"{where}: {name!r} cannot be {shown}{closest(value, choices)}", f"expected one of {', '.join(choices)}"
            )
        settings[name] = match or value
    lacking = [field for field in method.fields if field.required and not settings.get(field.name)]
    if lacking:
        names = " and ".join(repr(field.name) for field in lacking)
        raise UsageError(
            f"{where}: {names} {'is' if len(lacking) == 1 else 'are'} missing",
            "; ".join(
                f"--{field.name}={'@FILE' if field.secret else '...'} ({field.doc.rstrip('.')})" for field in lacking
            ),
        )
    return {field.name: field.default for field in method.fields if field.default} | settings


def _unknown(kind: ConnectorType, where: str, name: str, known: list[str]) -> UsageError:
    others = [other.name for other in kind.methods if name in {field.name for field in other.fields}]
    if others:
        return UsageError(f"{where}: it has no {name!r}", f"that is of --auth-method {' and '.join(others)}")
    listed = ", ".join(known) or "it takes none"
    return UsageError(f"{where}: it has no {name!r}{closest(name, known)}", f"its settings: {listed}")
