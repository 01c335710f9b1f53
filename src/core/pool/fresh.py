"""A fresh Python as the nursery: steps, store and materializers travel to it, what `__main__` defines by value."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import sys
import types
from importlib.machinery import ModuleSpec, PathFinder
from io import BytesIO

import cloudpickle

from core import faults
from core.errors import ConfigurationError, InfrastructureError
from core.execute import Bench
from core.interrupt import doze
from core.names import locate
from core.pool.handle import Handle
from core.pool.nursery import REFUSED, REPORT
from core.pool.start import Kit, tend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

_HEAD = struct.Struct("!QQ")
_OURS = frozenset({"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__"})


def spawn(kit: Kit, ours: socket.socket, theirs: socket.socket) -> Handle:
    """Start it, tell it everything, and wait until it has understood.

    Raises `ConfigurationError` that names the step which can't travel.
    """
    first, second = _first(), _second(kit)
    if not sys.executable:
        raise ConfigurationError(
            "this program's Python is not known, so none can be started for workers", "set CORE_START=fork"
        )
    theirs.set_inheritable(True)
    command = [sys.executable, "-P", "-m", "core.pool", str(theirs.fileno()), str(os.getpid())]
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    everything = signal.valid_signals()
    try:
        pid = os.posix_spawn(sys.executable, command, {**os.environ, "PYTHONPATH": path}, setsigmask=everything)
    except OSError as error:
        raise InfrastructureError(
            f"no Python can be started for workers: {error}", "see what the error says"
        ) from error
    theirs.close()
    handle = Handle(ours, pid)
    try:
        data: Any  # `doze` is made for seconds
        for data in (_HEAD.pack(len(first), len(second)), first, second):
            doze(ours.sendall, data)
        handle.greet()
    except BrokenPipeError:
        handle.close()
        raise InfrastructureError(
            "the Python for workers ended before it was told what to do", "see what it printed"
        ) from None
    except BaseException:
        handle.close()
        raise
    return handle


def main(fd: int, driver: int) -> NoReturn:
    """The life of such a nursery."""
    control = socket.socket(fileno=fd)
    control.set_inheritable(False)
    lengths = _HEAD.unpack(_receive(control, _HEAD.size))
    try:
        _take_over(pickle.loads(_receive(control, lengths[0])))  # noqa: S301 - our own parent sent it
        kit, definitions, failpoints = pickle.loads(_receive(control, lengths[1]))  # noqa: S301 - the same
    except BaseException as error:
        said = f"{type(error).__name__}: {error}".encode()
        control.sendall(REPORT.pack(REFUSED, 0, len(said), 0, 0) + said)
        raise
    vars(sys.modules["__main__"]).update(definitions)
    faults.arm(failpoints)
    bench, *rest = kit
    tend(Kit(Bench(*bench), *rest), control, driver)


def _first() -> bytes:
    """What must be in place before anything is imported: paths, arguments, whose `__main__` this is."""
    main_module = sys.modules["__main__"]
    spec = getattr(main_module, "__spec__", None)
    what = {
        "path": sys.path,
        "argv": sys.argv,
        "pythonpath": os.environ.get("PYTHONPATH"),
        "file": getattr(main_module, "__file__", None),
        "name": spec.name if spec is not None else "",
        "package": getattr(main_module, "__package__", None),
    }
    return pickle.dumps(what, 5)


def _take_over(what: dict[str, Any]) -> None:
    sys.path[:], sys.argv[:] = what["path"], what["argv"]
    if what["pythonpath"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = what["pythonpath"]
    module = types.ModuleType("__main__")
    module.__spec__ = ModuleSpec(what["name"], None) if what["name"] else None
    module.__package__ = what["package"]
    if what["file"]:
        module.__file__ = what["file"]
    sys.modules["__main__"] = module


def _second(kit: Kit) -> bytes:
    """The kit, what `__main__` defines, and the failpoints that are armed."""
    bench = kit.bench
    data = (
        bench.run,
        bench.pipeline,
        None,
        None,
        bench.store,
        bench.materializers,
        None,
        bench.inline_limit,
        bench.resolve,
    )
    for module in _unreachable(kit):
        cloudpickle.register_pickle_by_value(module)
    try:
        return _dump(((data, list(kit.specs), kit.grace, dict(kit.thrown)), _definitions(), faults.spelled()))
    except Exception as error:  # border of people's own objects
        raise _cannot_travel(kit, error) from error
    finally:
        for module in _unreachable(kit):
            cloudpickle.unregister_pickle_by_value(module)


def _unreachable(kit: Kit) -> Iterator[types.ModuleType]:
    """Modules of steps that no other process can import: files that were loaded by their path."""
    for name in {str(spec.function.__module__) for spec in kit.specs}:
        module = sys.modules.get(name)
        if module is not None and name != "__main__" and PathFinder.find_spec(name.partition(".")[0]) is None:
            yield module


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Names the function behind a step where its module can be imported: the module has the step under that name."""

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, types.FunctionType) and thing.__module__ in sys.modules:
            name = f"{thing.__module__}:{thing.__qualname__}"
            if thing.__module__ not in {"__main__", *cloudpickle.list_registry_pickle_by_value()} and _stands(
                name, thing
            ):
                return function_of, (name,)
        return super().reducer_override(thing)


def function_of(name: str) -> Any:
    """The function of the step that is called `module:qualname`."""
    return locate(name).spec.function


def _stands(name: str, function: Any) -> bool:
    try:
        return function_of(name) is function
    except (ImportError, AttributeError):
        return False


def _dump(thing: Any) -> bytes:
    buffer = BytesIO()
    _Pickler(buffer, 5).dump(thing)
    return buffer.getvalue()


def _definitions() -> dict[str, Any]:
    """Classes, functions and steps of `__main__` that can travel: what values of its classes are made again with."""
    found = {}
    for name, value in vars(sys.modules["__main__"]).items():
        if name not in _OURS and not isinstance(value, types.ModuleType) and _is_of_main(value):
            try:
                _dump(value)
            except Exception:  # noqa: BLE001, S112 - the same border: who needs it is told when it is not found
                continue
            found[name] = value
    return found


def _is_of_main(value: Any) -> bool:
    return getattr(value, "__module__", None) == "__main__" and hasattr(value, "__qualname__")


def _cannot_travel(kit: Kit, error: Exception) -> ConfigurationError:
    hint = "build what can't be copied inside the step, or run with `--workers 1` or CORE_START=fork"
    for spec in kit.specs:
        try:
            _dump(spec)
        except Exception as wrong:  # noqa: BLE001 - the same border
            said = f"step {spec.name!r} ({spec.id}) can't be copied into a worker process: {wrong}"
            return ConfigurationError(said, hint)
    return ConfigurationError(f"the run's store or materializers can't be copied into a worker process: {error}", hint)


def _receive(control: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = control.recv(min(size - len(data), 1 << 20))
        if not more:
            os._exit(1)  # the driver is gone
        data += more
    return bytes(data)
