"""2. Call the pipeline function once, check every edge and parameter, and give the graph."""

from __future__ import annotations

import gc

from core.compile.bind import collect
from core.compile.recording import Recording
from core.context import compiling
from core.errors import CompileError, ParameterError
from core.model.graph import Graph
from core.model.ref import Fields, Ref
from core.model.spec import MISSING
from core.model.value import Value
from core.names import name_of
from core.signature import read_inputs
from core.text import closest
from core.values import from_plain, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from core.model.graph import Binding
    from core.model.spec import RunOptions, StepSpec


class Compiled(Value):
    """A graph together with the live steps that its nodes name."""

    graph: Graph
    specs: Mapping[str, StepSpec]
    """The step of each node, by node id."""


def compile_pipeline(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: RunOptions
) -> Compiled:
    """Call `function` and record its step calls.

    Raises `ParameterError` for arguments that do not fit, and `CompileError` naming the steps for what is no graph.
    """
    parameters, values = _bind(name, function, args, kwargs, lenient=options.lenient)
    recording = Recording(name, options.steps)
    token = compiling.set(recording)
    collecting = gc.isenabled()
    gc.disable()  # nodes make no cycles: looking for some again and again would take longer than all the rest
    try:
        returned = recording.inline(name, function, (), values)
    finally:
        compiling.reset(token)
        if collecting:
            gc.enable()
    if not recording.nodes:
        raise CompileError(f"pipeline {name!r} calls no step", "call at least one function decorated with @step in it")
    recording.check_names(options.no_cache if isinstance(options.no_cache, frozenset) else ())
    outputs = dict(_named_outputs(returned, name))
    graph = Graph(name, recording.finished(), parameters, name_of(function), outputs)
    return Compiled(graph, recording.specs)


def _bind(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, lenient: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline's parameters as plain data, and as the values that its function is called with."""
    inputs = {spec.name: spec for spec in read_inputs(function)}
    names = ", ".join(inputs) or "none"
    positional = [spec.name for spec in inputs.values() if not spec.keyword_only and not spec.variadic]
    if any(spec.variadic or spec.positional_only for spec in inputs.values()):
        raise CompileError(
            f"pipeline {name!r} has `*args`, `**kwargs` or positional-only parameters", "name each parameter"
        )
    if len(args) > len(positional):
        raise ParameterError(
            f"pipeline {name!r} takes {len(positional)} positional arguments, {len(args)} were given",
            f"its parameters are {names}",
        )
    given = dict(zip(positional, args, strict=False))
    for key, value in kwargs.items():
        if key in given or key not in inputs:
            what = "got two values for" if key in given else "has no"
            hint = f"its parameters are {names}"
            owner, _, field = key.partition(".")
            if field and owner in inputs:
                hint += f"; give a field with its object: {owner}='{{\"{field}\": ...}}'"
            raise ParameterError(f"pipeline {name!r} {what} parameter {key!r}{closest(key, inputs)}", hint)
        given[key] = value
    plain: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for spec in inputs.values():
        value = given.get(spec.name, spec.default)
        if value is MISSING:
            raise ParameterError(
                f"pipeline {name!r} was called without parameter {spec.name!r}", f"its parameters are {names}"
            )
        where = f"parameter {spec.name!r} of pipeline {name!r}"
        plain[spec.name] = to_plain(value, spec.annotation, where, lenient=lenient and spec.name in given)
        values[spec.name] = from_plain(plain[spec.name], spec.annotation)
    return plain, values


def _named_outputs(returned: Any, name: str) -> Iterator[tuple[str, Binding]]:
    if returned is None:
        return
    if isinstance(returned, Ref):
        if returned.edge.output:
            yield returned.edge.output, returned.edge
        return
    if isinstance(returned, Fields):
        named = dict(returned.binding.items)
    elif isinstance(returned, dict):
        named = {str(key): collect(item, f"output of pipeline {name!r}") for key, item in returned.items()}
    elif isinstance(returned, list | tuple):
        named = {f"output_{i}": collect(item, f"output of pipeline {name!r}") for i, item in enumerate(returned)}
    else:
        raise CompileError(
            f"pipeline {name!r} returns {returned!r}, which no step made", "return what step calls returned, or nothing"
        )
    yield from named.items()
