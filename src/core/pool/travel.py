"""Exceptions on their way from a worker to the driver: the thing itself where it can travel, else a stand-in."""

from __future__ import annotations

import pickle

from core.errors import TOLD, CoreError, message_of, theirs
from core.execute import error_data
from core.mask import add_secret, secrets
from core.names import locate, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LIMIT = 1 << 20
"""Bytes of a pickled exception that are sent: some hold the data that they complain of."""
Parcel = tuple[bytes, tuple[str, ...], str, "Mapping[str, Any]", "list[str]"]
"""The pickle; the names of the class and its bases; the message; what `error_data` says; secrets that may be in it."""


def pack(error: BaseException | None) -> Parcel | None:
    """Plain data from which `unpack` makes the exception again."""
    if error is None:
        return None
    if isinstance(error, KeyboardInterrupt):
        _cut(error)
    kind = type(error)
    said = error.message if isinstance(error, CoreError) else message_of(error)
    return _pickled(error), tuple(name_of(base) for base in kind.__mro__), said, error_data(error), secrets()


def unpack(parcel: Parcel | None) -> tuple[BaseException | None, Mapping[str, Any]]:
    """The exception and what is told of it; one that can't be made again is stood in for by its nearest base."""
    if parcel is None:
        return None, {}
    data, names, said, told, known = parcel
    for secret in known:
        add_secret(secret)
    try:
        error = pickle.loads(data)  # noqa: S301 - our own child sent it
    except Exception:  # noqa: BLE001 - border of people's own classes
        error = None
    if not isinstance(error, BaseException):
        error = stand_in(names, said)
    try:
        setattr(error, TOLD, told["traceback"])
    except (AttributeError, TypeError):
        pass  # a class that takes no attributes: the record has the traceback
    return error, told


def _cut(error: KeyboardInterrupt) -> None:
    """End its traceback where the step was when the signal came: not in core's handler."""
    last, trace = None, error.__traceback__
    while trace is not None:
        last = trace if theirs(trace.tb_frame.f_code.co_filename) else last
        trace = trace.tb_next
    if last is not None:
        last.tb_next = None


def _pickled(error: BaseException) -> bytes:
    try:
        data = pickle.dumps(error, 5)
        pickle.loads(data)  # noqa: S301 - what can't be made again here can't there
    except Exception:  # noqa: BLE001 - border of people's own classes
        data = _by_value(error)
    return data if len(data) <= LIMIT else b""


def _by_value(error: BaseException) -> bytes:
    import cloudpickle  # start-up time: few exceptions are of classes that have no name

    try:
        data: bytes = cloudpickle.dumps(error, 5)
        pickle.loads(data)  # noqa: S301 - the same
    except Exception:  # noqa: BLE001 - the same
        return b""
    return data


def stand_in(names: Sequence[str], said: str) -> BaseException:
    """An exception of the same name and message, of the nearest base that is found here."""
    base: Any = Exception
    for name in names:
        try:
            found = locate(name)
        except Exception:  # noqa: BLE001, S112 - border of people's own modules, which may not be imported here
            continue
        if isinstance(found, type) and issubclass(found, BaseException):
            base = found
            break
    namespace = {"__init__": lambda _, *__: None, "__str__": lambda _: said, "__module__": names[0].partition(":")[0]}
    error: BaseException
    kind: Any = type(names[0].rpartition(":")[2].rpartition(".")[2], (base,), namespace)
    try:
        error = kind.__new__(kind, said)
    except Exception:  # noqa: BLE001 - the same: its base wants more to be made
        error = type(kind.__name__, (Exception,), {})(said)
    return error
