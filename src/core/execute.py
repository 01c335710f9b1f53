"""One attempt: load the inputs, call the function, save the outputs, emit the events."""

from __future__ import annotations

import os
import time

from core.artifacts import load, of_step, save
from core.conform import describe, matches
from core.context import StepContext, enter, leave
from core.errors import (
    CoreError,
    CorruptDataError,
    InfrastructureError,
    NotFoundError,
    OutputError,
    masked,
    message_of,
    own_frames,
    trace_text,
)
from core.faults import failpoint
from core.mask import current, learn
from core.model.artifact import ArtifactRef
from core.model.event import EventKind
from core.model.graph import Collect, Edge, edges_of, present
from core.model.nothing import NOTHING
from core.model.states import Fault, StepState
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

MESSAGE_LIMIT = 10_000
"""Characters of an exception's message that are recorded."""

Outputs = dict[str, ArtifactRef]


class Task(Value):
    """An attempt that is wanted."""

    node: Node
    spec: StepSpec
    decision: Decision
    number: int
    """1 for the first try."""
    inputs: Mapping[str, Outputs]
    """Outputs, by node id, of every node that `node` takes from; more may stand there."""
    checkpoint: ArtifactRef | None = None
    """What an earlier attempt kept."""

    def needed(self) -> dict[str, Outputs]:
        """The outputs that its function takes, and no others: what another process must be told."""
        found: dict[str, Outputs] = {}
        for binding in self.node.inputs.values():
            for node, output in edges_of(binding):
                if node in self.inputs:  # others were skipped on purpose
                    found.setdefault(node, {})[output] = self.inputs[node][output]
        return found

    def taken(self) -> dict[str, list[list[str]]]:
        """Input name to `[node, output, digest]` of what it takes."""
        given, found = self.inputs, {}
        for name, binding in self.node.inputs.items():
            edges = [edge for edge in edges_of(binding) if edge.node in given]  # others were skipped on purpose
            found[name] = [[*edge, given[edge.node][edge.output].digest] for edge in edges]
        return found


class Result(Value):
    """What became of an attempt."""

    state: StepState
    outputs: Outputs
    error: BaseException | None = None
    """What the step raised, or an error that says what ended it."""
    fault: Fault = Fault.USER
    """Whose the error is."""
    told: Mapping[str, Any] = NOTHING
    """The error as plain data where it was raised in another process; `error` then has no traceback of its own."""
    seconds: float = 0.0
    """What the attempt took."""


class Bench(Value):
    """What every attempt of a run works with."""

    run: str
    pipeline: str
    emit: Callable[..., None]
    """Notes an event: kind, step, attempt, and data by name. With `now=True` it returns when that is durable."""
    capture: Capture
    store: ArtifactStore
    materializers: Materializers
    trusted: Callable[[str], bool]
    inline_limit: int
    resolve: Callable[[Any, str], Any] | None = None
    """Puts secrets where `{{name.key}}` stands, where the step runs; its second argument begins an error's message."""


def begin(bench: Bench, task: Task) -> None:
    """Record that an attempt begins; its function has not been called."""
    node, decision = task.node, task.decision
    learn(task.spec.options.environment)  # also where it is another process that sets it
    bench.emit(
        EventKind.ATTEMPT_STARTED,
        node.id,
        task.number,
        key=decision.key,
        reason=decision.reason,
        code=decision.fingerprint.get("code", ""),
        inputs=task.taken(),
    )


def perform(bench: Bench, task: Task) -> Result:
    """One attempt in this process, without its first and its last event. Whatever ends it is in the result."""
    failpoint("attempt.started")
    node, spec = task.node, task.spec
    context = _context(bench, task)
    began = time.perf_counter()
    bench.capture.begin(node.id, task.number)
    token = enter(context)
    variables: Mapping[str, str | None] = NOTHING
    try:
        variables = _set_environment(environment_of(bench, task))
        signature = read_signature(spec.function)
        args, kwargs = _arguments(bench, node, signature, task.inputs)
        returned = spec.function(*args, **kwargs)
        if hasattr(type(returned), "__await__"):  # of the type: some values answer to every name
            returned = _await(returned)
        _stay(bench)
        failpoint("attempt.returned")
        outputs = _save(bench, node, spec, signature, returned)
        failpoint("attempt.saved")
        result = Result(StepState.COMPLETED, outputs)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the border of a step: whatever it raises is recorded
        _stay(bench, error)
        fault = Fault.INFRASTRUCTURE if isinstance(error, InfrastructureError) else Fault.USER
        result = Result(StepState.FAILED, {}, error.with_traceback(own_frames(error.__traceback__)), fault)
    except BaseException as error:  # noqa: BLE001 - whoever called us raises it again
        _stay(bench, error)
        result = Result(StepState.CANCELLED, {}, error)
    finally:
        _set_environment(variables)
        bench.capture.end()
        leave(token)
        context.close()
    return result._replace(seconds=round(time.perf_counter() - began, 6))


def conclude(bench: Bench, task: Task, result: Result, *, retry: Mapping[str, Any] | None = None) -> None:
    """Record how an attempt ended; `retry` tells of the one that follows."""
    node, decision, emit = task.node, task.decision, bench.emit
    if result.state is StepState.COMPLETED:
        emit(
            EventKind.ATTEMPT_COMPLETED,
            node.id,
            task.number,
            key=decision.key,
            pipeline=bench.pipeline,
            fingerprint=decision.fingerprint,
            outputs={name: ref.to_data() for name, ref in result.outputs.items()},
            seconds=result.seconds,
        )
        failpoint("attempt.ended")
        return
    if result.state is StepState.FAILED:
        error = result.told or error_data(result.error)
        data = {"error": error, "fault": str(result.fault), "retry": retry}
        emit(EventKind.ATTEMPT_FAILED, node.id, task.number, **data, seconds=result.seconds)
        return
    preempted = result.state is StepState.PREEMPTED
    kind = EventKind.ATTEMPT_PREEMPTED if preempted else EventKind.ATTEMPT_CANCELLED
    said = getattr(result.error, "message", "").partition("\n")[0] or "interrupted"
    emit(kind, node.id, task.number, reason=said, retry=retry, seconds=result.seconds)


def _context(bench: Bench, task: Task) -> StepContext:
    node, number = task.node, task.number
    newest = task.checkpoint

    def log(values: Mapping[str, Any]) -> None:
        plain = {
            name: to_plain(value, None, f"metadata {name!r} of step {node.id!r}") for name, value in values.items()
        }
        bench.emit(EventKind.METADATA, node.id, number, values=current().plain(plain))

    def keep(value: Any) -> None:
        nonlocal newest
        ref = save(value, store=bench.store, materializers=bench.materializers, limit=bench.inline_limit)
        bench.emit(EventKind.CHECKPOINT, node.id, number, artifact=ref.to_data(), inputs=task.taken(), now=True)
        newest = ref
        failpoint("checkpoint.kept")

    def kept(default: Any) -> Any:
        if newest is None:
            return default
        return load(newest, store=bench.store, materializers=bench.materializers, trusted=bench.trusted)

    return StepContext(bench.run, bench.pipeline, node.id, number, log, keep, kept)


def call_hook(bench: Bench, task: Task, result: Result) -> None:
    """Call the step's `on_success` or `on_failure`; a hook that fails is recorded and changes nothing."""
    options = task.spec.options
    hook = options.on_success if result.error is None else options.on_failure
    if hook is None:
        return
    node = task.node.id
    context = _context(bench, task)
    token = enter(context)
    bench.capture.begin(node, task.number)  # what it prints stands in the step's log
    try:
        hook(context) if result.error is None else hook(context, result.error)
    except Exception as error:  # noqa: BLE001 - the border of the user's hook
        error = error.with_traceback(own_frames(error.__traceback__))
        bench.emit(EventKind.HOOK_FAILED, node, task.number, hook=hook.__name__, error=error_data(error))
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
            binding: Binding | None = node.inputs[spec.name]
            if binding is not None and (node.optional or isinstance(binding, Collect)):
                binding = present(binding, done)
            value = None if binding is None else _load(bench, binding, done)
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
    for name, depth in node.walked.items():
        from core.items import save_items  # start-up time: few steps are mapped over outputs

        what, given = f"output {name!r} of {step}", (bench.store, bench.materializers, bench.inline_limit)
        outputs.update((name + place, ref) for place, ref in save_items(values[name], depth, what, *given).items())
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


def environment_of(bench: Bench, task: Task) -> Mapping[str, str]:
    """The variables that the step declares, secrets in the place of references to them."""
    declared = task.spec.options.environment
    if bench.resolve is None or not any("{{" in value for value in declared.values()):
        return declared
    return bench.resolve(declared, f"step {task.node.id!r}")  # type: ignore[no-any-return] # as it was given


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
    learn(variables)  # it is set back before the last of what was printed is written
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
    message = masked(error.message) if isinstance(error, CoreError) else message_of(error)
    text = trace_text(error)
    name = type(error).__qualname__
    return {"type": name, "message": message[:MESSAGE_LIMIT], "where": where, "traceback": text[-10 * MESSAGE_LIMIT :]}
