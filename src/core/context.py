"""The context variables of a run: the recorder of a compiling pipeline, and the context of a running step."""

from __future__ import annotations

import sys
from contextvars import ContextVar

from core.errors import CompileError, UsageError, trace_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, NoReturn

compiling: ContextVar[Any] = ContextVar("core.compiling", default=None)
"""The `core.compile.Recording` while a pipeline function is called to record its graph, else None."""

_running: ContextVar[StepContext | None] = ContextVar("core.running", default=None)


class Importing:
    """Stands where the recording of a compiling pipeline stands, while a file is imported that holds pipelines."""

    def __init__(self, file: str) -> None:
        self.file = file

    def inline(self, name: str, *_: object) -> NoReturn:
        """Refuse to run a pipeline: `core pipeline check` runs nothing, and `core run` runs what was asked for."""
        raise CompileError(
            f"pipeline {name!r} is called while {self.file!r} is imported",
            'put the call below `if __name__ == "__main__":`',
        )

    def call(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a step: outside a pipeline it is the plain function."""
        return step.spec.function(*args, **kwargs)

    def map(self, step: Any, iterables: tuple[Any, ...], constants: dict[str, Any]) -> list[Any]:
        """Call a step for each item, as `Step.map` does outside a pipeline."""
        return [step.spec.function(*items, **constants) for items in zip(*iterables, strict=True)]


class Halted(BaseException):
    """A pipeline was called while its file was imported, by `Halting`; `module` is what the file had made by then."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module


class Halting(Importing):
    """As `Importing`, but ends the import there: what stands above the call is all that is needed of the file."""

    def __init__(self) -> None:
        super().__init__("")

    def inline(self, *_: object) -> NoReturn:
        """End the import."""
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code.co_name != "<module>":
            frame = frame.f_back
        raise Halted(sys.modules.get(frame.f_globals["__name__"]))


class StepContext:
    """What a step may ask of its attempt; `get_context()` gives it."""

    __slots__ = (
        "_asked",
        "_folder",
        "_hooks",
        "_keep",
        "_kept",
        "_log",
        "_told",
        "attempt",
        "pipeline",
        "run_id",
        "step",
    )

    def __init__(
        self,
        run_id: str,
        pipeline: str,
        step: str,
        attempt: int,
        log: Callable[[dict[str, Any]], None],
        keep: Callable[[Any], None] = lambda _: None,
        kept: Callable[[Any], Any] = lambda default: default,
    ) -> None:
        self.run_id = run_id
        """UUIDv7 of the run."""
        self.pipeline = pipeline
        """Name of the pipeline."""
        self.step = step
        """Node id of the step."""
        self.attempt = attempt
        """1 for the first try."""
        self._log = log
        self._keep = keep
        self._kept = kept
        self._folder: Path | None = None
        self._hooks: list[Callable[[], object]] = []
        self._told = False
        self._asked = False

    @property
    def temporary_folder(self) -> Path:
        """An empty folder of this attempt's own, removed when it ends."""
        if self._folder is None:
            import tempfile  # start-up time: few steps ask for it
            from pathlib import Path  # start-up time: the same

            self._folder = Path(tempfile.mkdtemp(prefix=f"core-{self.step[:40].replace('/', '_')}-"))
        return self._folder

    def log_metadata(self, **values: Any) -> None:
        """Record plain values (numbers, text, lists, dicts) with the attempt; `core runs show` prints them."""
        self._log(values)

    def checkpoint(self, value: Any) -> None:
        """Keep `value` (anything that a step may return) for a later attempt of this step, durably, before returning.

        Raises `OutputError` when it can't be stored, `StoreError` when the store can't be written.
        """
        self._keep(value)

    def last_checkpoint(self, default: Any = None) -> Any:
        """The newest value that an attempt of this step kept in this run, from the same inputs; else `default`."""
        return self._kept(default)

    @property
    def stopping(self) -> bool:
        """Whether the step was told to end: a person cancelled, or the machine is taken away.

        A step that asks gets the time of the setting `grace` to return by itself; any other is interrupted at once.
        """
        self._asked = True
        return self._told

    def on_stop(self, hook: Callable[[], object]) -> None:
        """Call `hook` (in the step's own thread) when the step is told to end, before it is interrupted."""
        self._hooks.append(hook)

    def tell(self) -> bool:
        """Tell the step to end: core calls this. Gives whether the step looks at `stopping` and may end by itself."""
        if not self._told:
            self._told = True
            for hook in self._hooks:
                try:
                    hook()
                except Exception as error:  # noqa: BLE001 - border of the user's hook: the others must be called, too
                    sys.stderr.write(trace_text(error))
        return self._asked

    def close(self) -> None:
        """Remove the temporary folder if there is one."""
        if self._folder is not None:
            import shutil  # start-up time: few steps come here

            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def get_context() -> StepContext:
    """The context of the step that is running here; raises `UsageError` outside a step."""
    return _current("get_context")


def _current(asked: str) -> StepContext:
    context = _running.get()
    if context is None:
        raise UsageError(
            f"{asked}() was called outside a running step",
            "call it inside a function decorated with @step, while a pipeline runs",
        )
    return context


def log_metadata(**values: Any) -> None:
    """Record plain values with the running step's attempt: `log_metadata(accuracy=0.93)`."""
    _current("log_metadata").log_metadata(**values)


def running() -> StepContext | None:
    """The context of the step that is running here, or None."""
    return _running.get()


def enter(context: StepContext) -> object:
    """Make `context` the running one; returns the token for `leave`."""
    return _running.set(context)


def leave(token: Any) -> None:
    """Undo `enter`."""
    _running.reset(token)
