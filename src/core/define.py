"""1. `@step`: a function becomes a step. In a pipeline a call gives references, elsewhere it is the function."""

from __future__ import annotations

from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar, overload

from core.context import compiling
from core.errors import DefinitionError, show_uncaught
from core.model.spec import MAX_ITEMS, ImageSettings, StepOptions, StepSpec
from core.names import main_module, name_of, source_root
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from typing import Any, TypedDict, Unpack

    from core.model.spec import Resources, Retry

    class Options(TypedDict, total=False):
        """Keywords of `@step(...)` and `step.with_options(...)`; each means what `StepOptions` says of it."""

        name: str | None
        cache: bool
        cache_expires: float | None
        retry: Retry | None
        timeout: float | None
        resources: Resources | None
        image: ImageSettings | None
        runs_on: str | None
        tags: tuple[str, ...]
        environment: Mapping[str, str]
        materializers: Mapping[str, str]
        on_success: Callable[..., object] | None
        on_failure: Callable[..., object] | None
        map_limit: int
        after: Any
        when: Any


P = ParamSpec("P")
R = TypeVar("R")
MAX_NAME = 100


class Step(Generic[P, R]):
    """A step function. Made by `@step`."""

    __wrapped__: Callable[P, R]

    def __init__(self, spec: StepSpec, after: tuple[object, ...] = (), when: object = None) -> None:
        self.spec = spec
        self.after = after
        """References whose nodes must end before a call of this step begins."""
        self.when = when
        """Reference to the output that says whether a call of this step runs."""
        update_wrapper(self, spec.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """In a pipeline: a new node, and references to its outputs. Elsewhere: the function itself is called."""
        recording = compiling.get()
        if recording is None:
            result: R = self.spec.function(*args, **kwargs)
            return result
        node: R = recording.call(self, args, kwargs)
        return node

    def with_options(self, **options: Unpack[Options]) -> Step[P, R]:
        """The same step with other options.

        `after=` takes what other step calls returned: they must end first. `when=` takes the output of a step that
        returns a bool: if it is False, a call of this step is skipped on purpose, and so is what can't do without it.
        """
        return _build(self.spec.function, dict(options), self.spec.options, self.after, self.when)

    def map(self, *iterables: Iterable[Any], **constants: Any) -> list[R]:
        """One call for each item: positional arguments are walked side by side, keywords are the same for all calls.

        The nodes are called `name[0]`, `name[1]`, ... An iterable may be another step's output, whose length is known
        only when it runs: then what comes back stands for a list, to pass to a step or to another `map`, at most
        `map_limit` long. Raises `CompileError` when lengths differ or the items are not what the parameters take.
        """
        recording = compiling.get()
        if recording is not None:
            calls: list[R] = recording.map(self, iterables, constants)
            return calls
        function: Any = self.spec.function
        return [function(*items, **constants) for items in zip(*iterables, strict=True)]

    def __repr__(self) -> str:
        """For debuggers: `<step train of module:qualname>`."""
        return f"<step {self.spec.name} of {self.spec.id}>"


@overload
def step(function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(**options: Unpack[Options]) -> _Decorator: ...
def step(function: Any = None, /, **options: Any) -> Any:
    """Decorate a function as a step, bare (`@step`) or with options (`@step(cache=False)`), see `StepOptions`.

    Raises `DefinitionError` for what can't be a step, naming it and its place.
    """
    show_uncaught()
    if function is None:
        return lambda function: _build(function, options, StepOptions())
    return _build(function, options, StepOptions())


if TYPE_CHECKING:
    from typing import Protocol

    class _Decorator(Protocol):
        """What `@step(...)` with options gives: keeps the function's own signature."""

        @overload
        def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


def _build(
    function: Any, options: dict[str, Any], base: StepOptions, after: tuple[object, ...] = (), when: object = None
) -> Step[Any, Any]:
    if isinstance(function, Step):
        raise DefinitionError(f"{function!r} is decorated with @step twice", "remove one @step, or use with_options()")
    if not callable(function) or isinstance(function, type) or not hasattr(function, "__qualname__"):
        raise DefinitionError(f"@step decorates functions, not {function!r}", "write a function that does the work")
    if options and "after" in options:
        waits = options.pop("after")
        after = tuple(waits) if isinstance(waits, list | tuple) else (waits,)
    if options and "when" in options:
        when = options.pop("when")
    merged = merge_options(base, options, f"step {function.__qualname__!r}") if options else base
    identity = name_of(function)
    name = function.__name__ if function.__name__ != "<lambda>" else "lambda"
    module = identity.partition(":")[0]
    return Step(StepSpec(identity, name, function, source_root(module), _stays(function), merged), after, when)


def _stays(function: Any) -> str:
    """Why the function can't be found by name in another process; empty when it can."""
    if "<locals>" in function.__qualname__ or "<lambda>" in function.__qualname__:
        return "it is defined inside a function, so another process cannot import it"
    if function.__module__ == "__main__" and main_module() == "__main__":
        return "it is defined in a notebook or at a prompt, so another process cannot import it"
    return ""


def merge_options(base: StepOptions, changes: Mapping[str, Any], where: str) -> StepOptions:
    """`base` with `changes`, each checked; raises `DefinitionError` that begins with `where`."""
    values = {name: getattr(base, name) for name in StepOptions._fields}
    refuse_unknown(changes, values, where)
    for name, value in changes.items():
        values[name] = tuple(value) if name == "tags" else value
        _check(name, value, where)
    return StepOptions(**values)


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise `DefinitionError` for the first name of `given` that is not in `known`, with the closest that is."""
    known = list(known)
    for name in given:
        if name not in known:
            raise DefinitionError(
                f"{where} has no option {name!r}{closest(name, known)}", f"the options are {', '.join(known)}"
            )


def _check(name: str, value: Any, where: str) -> None:
    if name == "name" and value is not None:
        check_name(value, where)
    elif name in {"timeout", "cache_expires"} and value is not None and not (is_number(value) and value > 0):
        raise DefinitionError(f"{where}: {name}={value!r} is no positive number", "give seconds, such as 60")
    elif name == "map_limit" and not (type(value) is int and 0 < value <= MAX_ITEMS):
        raise DefinitionError(
            f"{where}: map_limit={value!r} is no whole number from 1 to {MAX_ITEMS}", "give a number of calls"
        )
    elif name == "cache" and not isinstance(value, bool):
        raise DefinitionError(
            f"{where}: cache={value!r} is neither True nor False", "write cache=False to run it each time"
        )
    elif name == "image":
        check_image(value, where)
    elif name in {"on_success", "on_failure"} and value is not None and not callable(value):
        raise DefinitionError(f"{where}: {name}={value!r} is no function", "give a function of the step's context")
    elif name in {"environment", "materializers"} and not all(
        isinstance(key, str) and isinstance(item, str) for key, item in dict(value).items()
    ):
        raise DefinitionError(f"{where}: {name}={value!r} must map text to text", 'write {"NAME": "value"}')
    elif name == "tags" and (isinstance(value, str) or not all(isinstance(tag, str) for tag in value)):
        raise DefinitionError(f"{where}: tags={value!r} must be several texts", 'write tags=("a", "b")')


def check_image(value: object, where: str) -> None:
    """Refuse what says nothing of an image."""
    if value is not None and not isinstance(value, ImageSettings):
        raise DefinitionError(
            f"{where}: image={value!r} is no ImageSettings", 'write image=ImageSettings(base_image="HOST/NAME:TAG")'
        )


def is_number(value: object) -> bool:
    """Whether `value` is an int or float; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_name(name: object, where: str) -> None:
    """Refuse a name that is no safe file name or can't be read: letters, digits and `_-.[] ` only, 1 to 100 of them."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        what = f"{len(name)} characters" if isinstance(name, str) else f"of type {type(name).__name__}"
        raise DefinitionError(
            f"{where}: the name {str(name)[:40]!a} is {what}; expected a text of 1 to {MAX_NAME} characters",
            "give it a short name, such as 'train'",
        )
    if not (name[0].isalnum() or name[0] == "_") or not all(letter.isalnum() or letter in "_-.[] " for letter in name):
        raise DefinitionError(
            f"{where}: the name {name!a} has characters that a file name or a terminal may trip over",
            "use letters, digits, '_', '-', '.', spaces, and begin with a letter, a digit or '_'",
        )
