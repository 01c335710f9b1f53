"""Base of the frozen values: `typing.NamedTuple` that leaves annotations as they are written.

Evaluating them costs two thirds of the time that it takes to make such a class, and a hello world makes fifty.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = ["Value"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as Value
else:

    class _Making(type):
        """Turns the body of `class Edge(Value)` into a named tuple with the body's methods."""

        def __new__(cls, name, bases, body):  # noqa: ANN001, ANN204, ARG004 - invisible to type checkers
            fields = body.get("__annotations__", {})
            defaults = [body[field] for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])  # noqa: PYI024
            for key, value in body.items():
                if key != "__module__" and key not in fields:
                    setattr(made, key, value)
            return made

    class _Value:
        def __mro_entries__(self, bases):  # noqa: ANN001, ANN204 - as above
            return (_made_from,)

    _made_from = type.__new__(_Making, "Value", (), {})
    Value = _Value()
