"""The table of contents: `@pipeline`, and the phases of a run in order: compile, plan, prepare, schedule, view."""

from __future__ import annotations

from typing import Generic, ParamSpec, TypeVar, overload

from core.context import compiling
from core.define import check_image, check_name, refuse_unknown
from core.errors import DefinitionError, UsageError, show_uncaught
from core.model.spec import MAX_WORKERS, PipelineOptions, RunOptions
from core.names import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypedDict, Unpack

    from core.compile import Compiled
    from core.model.plan import Plan
    from core.model.spec import ImageSettings
    from core.view import RunView

    class Keywords(TypedDict, total=False):
        """Keywords of `@pipeline(...)` and `pipeline.with_options(...)`; each means what `PipelineOptions` says."""

        name: str | None
        tags: tuple[str, ...]
        cache: bool
        fail_fast: bool
        workers: int | None
        image: ImageSettings | None


P = ParamSpec("P")
R = TypeVar("R")
_DEFAULT = RunOptions()


class Pipeline(Generic[P, R]):
    """A pipeline function. Made by `@pipeline`; a call runs it on the active stack."""

    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R], options: PipelineOptions) -> None:
        self.options = options
        self.name = options.name or function.__name__
        self.id = name_of(function)
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(function, name))
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> RunView:
        """Run it and give its view; inside another pipeline its steps join that one, and its references come back.

        Raises `RunFailed` (with `.run`) when a step failed, and other `CoreError`s before anything ran.
        """
        recording = compiling.get()
        if recording is not None:
            return recording.inline(self.name, self.__wrapped__, args, kwargs)  # type: ignore[no-any-return]
        return run(self, args, kwargs, _DEFAULT)

    def inline(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What a call inside another pipeline does, with the function's own return type for the type checker."""
        recording = compiling.get()
        if recording is None:
            raise UsageError(f"{self.name}.inline() was called outside a pipeline", f"call {self.name}() to run it")
        return recording.inline(self.name, self.__wrapped__, args, kwargs)  # type: ignore[no-any-return]

    def run(self, parameters: Mapping[str, Any], options: RunOptions = _DEFAULT) -> RunView:
        """Run it with `parameters` by name and the options of this one call; raises as a plain call does."""
        return run(self, (), parameters, options)

    def compile(self, parameters: Mapping[str, Any], options: RunOptions = _DEFAULT) -> Compiled:
        """Check it and give its graph; nothing runs and nothing is recorded."""
        from core.compile import compile_pipeline  # start-up time: declaring a pipeline must not pay for running it

        return compile_pipeline(self.name, self.__wrapped__, (), parameters, options)

    def plan(self, parameters: Mapping[str, Any], options: RunOptions = _DEFAULT) -> Plan:
        """What each step would do now, and why; nothing runs and nothing is recorded."""
        from core.prepare import prepare  # start-up time: the same
        from core.workspace import Workspace  # start-up time: the same

        compiled = self.compile(parameters, options)
        with Workspace() as workspace:
            stack = workspace.stack.checked()
            plan = workspace.planner(compiled.graph, compiled.specs, self.no_cache(options)).plan(stack.name)
            prepare(
                compiled.specs,
                workspace.orchestrators(compiled.specs),
                workspace.registry.materializers(),
                workspace.refer,
            )
        return plan

    def _repr_svg_(self) -> str:
        """The graph as a notebook shows it; only where every parameter has a default."""
        from core.draw import draw  # start-up time: only a notebook shows pictures

        return draw(self.compile({}).graph, "svg")

    def with_options(self, **options: Unpack[Keywords]) -> Pipeline[P, R]:
        """The same pipeline with other options."""
        return _build(self.__wrapped__, dict(options), self.options)

    def no_cache(self, options: RunOptions) -> bool | frozenset[str]:
        """What of it reuses nothing in a call with `options`: all, or the steps of these names."""
        return options.no_cache if self.options.cache else True

    def merged(self, given: RunOptions) -> RunOptions:
        """The options of a call, with what the pipeline declares where the call says nothing."""
        declared = self.options
        fail_fast = declared.fail_fast or given.fail_fast
        workers = declared.workers if given.workers is None else given.workers
        return given._replace(tags=(*declared.tags, *given.tags), fail_fast=fail_fast, workers=workers)

    def __repr__(self) -> str:
        """For debuggers: `<pipeline training of module:qualname>`."""
        return f"<pipeline {self.name} of {self.id}>"


def run(pipeline: Pipeline[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: RunOptions) -> RunView:
    """One run, from the call to its view."""
    from core.compile import compile_pipeline  # start-up time: declaring a pipeline must not pay for running it
    from core.prepare import prepare  # start-up time: the same
    from core.schedule import drive  # start-up time: the same
    from core.workspace import Workspace  # start-up time: the same

    compiled = compile_pipeline(pipeline.name, pipeline.__wrapped__, args, kwargs, options)
    with Workspace() as workspace:
        stack = workspace.stack.checked()
        planner = workspace.planner(compiled.graph, compiled.specs, pipeline.no_cache(options))
        plan = planner.plan(stack.name)
        where = workspace.orchestrators(compiled.specs)
        prepare(compiled.specs, where, workspace.registry.materializers(), workspace.refer)
        conditions = workspace.conditions(pipeline.merged(options), where)
        conditions = workspace.provided(conditions, pipeline, compiled.specs, plan, where)
        ending = drive(plan, planner, dict(compiled.specs), conditions)
    workspace.resume = _resume
    view = workspace.view(ending.run)
    if ending.error is not None:
        from core.resume import outcome  # start-up time: only a failure comes here

        outcome(pipeline.name, ending, view)
    return view


def _resume(run: str) -> RunView:
    from core.resume import resume  # start-up time: few programs go on with a run
    from core.workspace import Workspace  # start-up time: the same

    workspace = Workspace()
    workspace.resume = _resume
    return resume(workspace, run)


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(**options: Unpack[Keywords]) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(function: Any = None, /, **options: Any) -> Any:
    """Decorate a function as a pipeline, bare (`@pipeline`) or with options (`@pipeline(name="nightly")`).

    Raises `DefinitionError` for what can't be a pipeline, naming it.
    """
    show_uncaught()
    if function is None:
        return lambda function: _build(function, options, PipelineOptions())
    return _build(function, options, PipelineOptions())


def _build(function: Any, options: dict[str, Any], base: PipelineOptions) -> Pipeline[Any, Any]:
    if isinstance(function, Pipeline) or not callable(function) or not hasattr(function, "__code__"):
        raise DefinitionError(
            f"@pipeline decorates plain functions, not {function!r}", "write a function that calls steps"
        )
    if not options:
        return Pipeline(function, base)
    where = f"pipeline {function.__qualname__!r}"
    refuse_unknown(options, PipelineOptions._fields, where)
    if options.get("name") is not None:
        check_name(options["name"], where)
    if isinstance(options.get("tags"), str):
        raise DefinitionError(f"{where}: tags={options['tags']!r} must be several texts", 'write tags=("a", "b")')
    workers = options.get("workers")
    if workers is not None and not (type(workers) is int and 0 <= workers <= MAX_WORKERS):
        raise DefinitionError(
            f"{where}: workers={workers!r} is no whole number from 0 to {MAX_WORKERS}",
            "give the number of processes, such as 4; 0 means one a core",
        )
    check_image(options.get("image"), where)
    return Pipeline(function, base._replace(**options))
