"""One attempt: load the inputs, call the function, save the outputs, emit the events."""

from __future__ import annotations

import os
import time

from core.artifacts import load, of_step, save
from core.conform import describe, matches
from core.context import StepContext, enter, leave
from core.errors import CoreError, CorruptDataError, NotFoundError, OutputError, message_of, own_frames, trace_text
from core.faults import failpoint
from core.model.artifact import ArtifactRef
from core.model.event import EventKind
from core.model.graph import Collect, Edge, edges_of
from core.model.nothing import NOTHING
from core.model.states import StepState
from core.model.value import Value
from core.names import locate
from core.signature import read_signature
from core.values import from_plain, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.capture import Capture
    from core.model.graph import Binding, Node
    from core.model.plan import Decision
    from core.model.spec import InputSpec, Signature, StepSpec
    from core.ports.artifact_store import ArtifactStore
    from core.ports.materializer import Materializers
    from core.record import Recorder

MESSAGE_LIMIT = 10_000
"""Characters of an exception's message that are recorded."""

Outputs = dict[str, ArtifactRef]


class Result(Value):
    """What became of an attempt."""

    state: StepState
    outputs: Outputs
    error: BaseException | None = None
    """What the step raised."""
    attempt: int = 1
    """Which try it was."""


class Bench(Value):
    """What every attempt of a run works with."""

    pipeline: str
    recorder: Recorder
    capture: Capture
    store: ArtifactStore
    materializers: Materializers
    trusted: Callable[[str], bool]
    inline_limit: int


def execute(
    bench: Bench, node: Node, spec: StepSpec, decision: Decision, done: Mapping[str, Outputs], number: int
) -> Result:
    """Attempt `number` of `node` in this process; `done` holds the outputs of every node before it."""
    recorder = bench.recorder
    taken = {
        name: [[*edge, done[edge.node][edge.output].digest] for edge in edges_of(b)] for name, b in node.inputs.items()
    }
    recorder.emit(EventKind.ATTEMPT_STARTED, node.id, number, key=decision.key, reason=decision.reason, inputs=taken)
    failpoint("attempt.started")
    context = _context(bench, node, number)
    began = time.perf_counter()
    bench.capture.begin(node.id, number)
    token = enter(context)
    variables = _set_environment(spec.options.environment)
    try:
        signature = read_signature(spec.function)
        args, kwargs = _arguments(bench, node, signature, done)
        returned = spec.function(*args, **kwargs)
        if hasattr(type(returned), "__await__"):  # of the type: some values answer to every name
            returned = _await(returned)
        _stay(bench)
        failpoint("attempt.returned")
        outputs = _save(bench, node, spec, signature, returned)
        failpoint("attempt.saved")
        result = Result(StepState.COMPLETED, outputs, None, number)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the border of a step: whatever it raises is recorded
        _stay(bench, error)
        result = Result(StepState.FAILED, {}, error.with_traceback(own_frames(error.__traceback__)), number)
    except BaseException as error:
        _stay(bench, error)
        _end(bench, node, decision, number, Result(StepState.CANCELLED, {}, error), began)
        raise
    finally:
        _set_environment(variables)
        bench.capture.end()
        leave(token)
        context.close()
    _end(bench, node, decision, number, result, began)
    return result


def _end(bench: Bench, node: Node, decision: Decision, number: int, result: Result, began: float) -> None:
    emit = bench.recorder.emit
    seconds = round(time.perf_counter() - began, 6)
    if result.state is StepState.COMPLETED:
        emit(
            EventKind.ATTEMPT_COMPLETED,
            node.id,
            number,
            key=decision.key,
            pipeline=bench.pipeline,
            fingerprint=decision.fingerprint,
            outputs={name: ref.to_data() for name, ref in result.outputs.items()},
            seconds=seconds,
        )
        failpoint("attempt.ended")
    elif result.state is StepState.CANCELLED:
        emit(EventKind.ATTEMPT_CANCELLED, node.id, number, reason="interrupted", seconds=seconds)
    else:
        emit(EventKind.ATTEMPT_FAILED, node.id, number, error=error_data(result.error), seconds=seconds)


def _context(bench: Bench, node: Node, number: int) -> StepContext:
    def log(values: Mapping[str, Any]) -> None:
        plain = {
            name: to_plain(value, None, f"metadata {name!r} of step {node.id!r}") for name, value in values.items()
        }
        bench.recorder.emit(EventKind.METADATA, node.id, number, values=plain)

    return StepContext(bench.recorder.run, bench.pipeline, node.id, number, log)


def call_hook(bench: Bench, node: Node, spec: StepSpec, result: Result) -> None:
    """Call the step's `on_success` or `on_failure`; a hook that fails is recorded and changes nothing."""
    hook = spec.options.on_success if result.error is None else spec.options.on_failure
    if hook is None:
        return
    context = _context(bench, node, result.attempt)
    token = enter(context)
    bench.capture.begin(node.id, result.attempt)  # what it prints stands in the step's log
    try:
        hook(context) if result.error is None else hook(context, result.error)
    except Exception as error:  # noqa: BLE001 - the border of the user's hook
        error = error.with_traceback(own_frames(error.__traceback__))
        bench.recorder.emit(EventKind.HOOK_FAILED, node.id, result.attempt, hook=hook.__name__, error=error_data(error))
    finally:
        bench.capture.end()
        leave(token)
        context.close()


def _arguments(
    bench: Bench, node: Node, signature: Signature, done: Mapping[str, Outputs]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments, as the function's own signature wants them."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for spec in signature.inputs:
        if spec.name in node.inputs:
            value = _load(bench, node.inputs[spec.name], done)
        elif spec.name in node.parameters:
            value = from_plain(node.parameters[spec.name], None if spec.variadic else spec.annotation)
        else:
            continue
        _place(spec, value, args, kwargs)
    return args, kwargs


def _place(spec: InputSpec, value: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    if spec.variadic == "*":
        args.extend(value)
    elif spec.variadic == "**":
        kwargs.update(value)
    elif spec.keyword_only:
        kwargs[spec.name] = value
    else:
        args.append(value)


def _load(bench: Bench, binding: Binding, done: Mapping[str, Outputs]) -> Any:
    if isinstance(binding, Edge):
        ref = done[binding.node][binding.output]
        try:
            return load(ref, store=bench.store, materializers=bench.materializers, trusted=bench.trusted)
        except (CorruptDataError, NotFoundError) as error:
            raise of_step(error, binding.output, binding.node) from error
    if not isinstance(binding, Collect):
        return from_plain(binding.data)
    items = [(key, _load(bench, item, done)) for key, item in binding.items]
    if binding.kind == "list":
        return [value for _, value in items]
    if binding.kind == "tuple":
        return tuple(value for _, value in items)
    fields = dict(items)
    return fields if binding.kind == "dict" else locate(binding.kind)(**fields)


def _save(bench: Bench, node: Node, spec: StepSpec, signature: Signature, returned: Any) -> Outputs:
    """Check what the function returned against its annotation, output by output, and store it."""
    step = f"step {node.id!r}{_place_of(spec.function)}"
    values = _split(step, signature, returned)
    for output in signature.outputs:
        wrong = matches(values[output.name], output.annotation)
        if wrong:
            forgotten = len(values) == 1 and values[output.name] is None
            hint = "end it with `return ...`" if forgotten else "correct the return annotation or the returned value"
            raise OutputError(f"output {output.name!r} of {step} is not what its annotation says: {wrong}", hint)
    outputs: Outputs = {}
    chosen = spec.options.materializers
    for name, value in values.items():
        try:
            outputs[name] = save(
                value,
                store=bench.store,
                materializers=bench.materializers,
                name=chosen.get(name) if chosen else None,
                limit=bench.inline_limit,
            )
        except OutputError as error:
            raise OutputError(f"output {name!r} of {step}: {error.message}", error.hint) from error
    return outputs


def _split(step: str, signature: Signature, returned: Any) -> dict[str, Any]:
    names = [output.name for output in signature.outputs]
    if signature.shape == "single":
        return {names[0]: returned}
    if signature.shape == "none":
        if returned is not None:
            raise OutputError(
                f"{step} returned {type(returned).__name__}, but its annotation says None",
                "annotate what it returns, such as `-> float`",
            )
        return {}
    if signature.shape == "tuple":
        if not isinstance(returned, tuple) or len(returned) != len(names):
            got = f"{len(returned)} values" if isinstance(returned, tuple) else describe(type(returned))
            raise OutputError(
                f"{step} returned {got}, but its annotation says a tuple of {len(names)}: {', '.join(names)}",
                "return exactly one value for each output, in this order",
            )
        return dict(zip(names, returned, strict=True))
    if signature.container is not None and not isinstance(returned, signature.container):
        raise OutputError(
            f"{step} returned {describe(type(returned))}, but its annotation says {describe(signature.container)}",
            "return an instance of it",
        )
    return {name: getattr(returned, name) for name in names}


def _place_of(function: Callable[..., Any]) -> str:
    """` (file:line)` of the function; empty when it has no code of Python's."""
    code = getattr(function, "__code__", None)
    return f" ({os.path.basename(code.co_filename)}:{code.co_firstlineno})" if code else ""


def _set_environment(variables: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Set `variables` (None removes one) and give what stood there before."""
    if not variables:
        return NOTHING
    before = {name: os.environ.get(name) for name in variables}
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return before


def _await(awaitable: Any) -> Any:
    import asyncio  # start-up time: only asynchronous steps need it

    async def result() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(result())
    # A notebook, or a pipeline called by a coroutine: this thread's loop is at work, so the step gets one of its own.
    from concurrent.futures import ThreadPoolExecutor  # start-up time: the same
    from contextvars import copy_context  # start-up time: the same

    with ThreadPoolExecutor(1, "core-step") as pool:
        return pool.submit(copy_context().run, asyncio.run, result()).result()


def _stay(bench: Bench, error: BaseException | None = None) -> None:
    """End a process that the step forked and that came back from it: the run belongs to the parent alone."""
    if os.getpid() == bench.capture.process:
        return
    code = error.code if isinstance(error, SystemExit) else 0 if error is None else 1
    if error is not None and not isinstance(error, SystemExit):
        os.write(2, trace_text(error).encode("utf-8", "backslashreplace"))
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def error_data(error: BaseException | None) -> dict[str, Any]:
    """An exception as plain data: type, message, where (`file:line` of its last frame), traceback."""
    import traceback  # start-up time: only a failure needs it

    if error is None:
        return {}
    trace = error.__traceback__
    frames = traceback.extract_tb(trace)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    message = error.message if isinstance(error, CoreError) else message_of(error)
    text = trace_text(error)
    name = type(error).__qualname__
    return {"type": name, "message": message[:MESSAGE_LIMIT], "where": where, "traceback": text[-10 * MESSAGE_LIMIT :]}
