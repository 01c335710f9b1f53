"""Every deliberate error: a code, a message that names the offender, and a hint that says what to do."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from core.view import RunView

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""Folder of core's own files."""
SUITES = os.path.join(PACKAGE, "testing", "suites", "")
"""Those of them that hold steps, which are treated as the user's."""
_HEAD = "Traceback (most recent call last):\n"
TOLD = "__core_traceback__"
"""Attribute of an exception that came from another process: its traceback there, as text."""
LIBRARY = os.path.dirname(os.__file__) + os.sep
"""Folder of the standard library."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class CoreError(Exception):
    """Base of all errors that core raises on purpose.

    `message` says what is wrong and where, `hint` what to do about it; `code` is stable and can be searched for.
    `exit_code` is what the command line exits with.
    """

    code = "core"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The message, the hint on a line of its own, and the code."""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{self.message} [{self.code}]{hint}"

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of core's own frames."""
        return explain(self).splitlines()


class RunFailed(CoreError):
    """A run ended without completing; `run` is its view, `__cause__` the first failed step's exception."""

    code = "run-failed"
    run: RunView


class RunCancelled(RunFailed):
    """Somebody ended the run with `core runs cancel`; `run` is its view."""

    code = "run-cancelled"


class UsageError(CoreError):
    """The caller used the command line or the API in a way that it does not support."""

    code = "usage"
    exit_code = 2


class DefinitionError(UsageError):
    """A `@step` or `@pipeline` is declared in a way that cannot work."""

    code = "definition"


class CompileError(UsageError):
    """The pipeline function does not describe a valid graph."""

    code = "compile"


class EdgeTypeError(CompileError):
    """An output is passed to an input whose annotation does not accept it."""

    code = "edge-type"


class ParameterError(CompileError):
    """A parameter is missing, unknown, of the wrong type, or cannot be written as plain data."""

    code = "parameter"


class NotFoundError(CoreError):
    """What was asked for by name does not exist."""

    code = "not-found"
    exit_code = 3


class NotAllowedError(CoreError):
    """The caller lacks the right, or the operation is forbidden here."""

    code = "not-allowed"
    exit_code = 4


class AuthenticationError(NotAllowedError):
    """Credentials are wrong, expired or missing."""

    code = "authentication"


class UntrustedPickleError(NotAllowedError):
    """A pickle whose digest the tracking store never recorded was refused."""

    code = "untrusted-pickle"


class ConflictError(CoreError):
    """Someone else changed it first, or holds it."""

    code = "conflict"
    exit_code = 5


class LeaseLostError(ConflictError):
    """The owner's lease was taken over; what it still wants to commit is refused."""

    code = "lease-lost"


class ConfigurationError(CoreError):
    """Settings, a stack or a file are wrong."""

    code = "configuration"
    exit_code = 6


class PluginError(ConfigurationError):
    """A plugin is missing, broken, or claims what another plugin has."""

    code = "plugin"


class MissingDependencyError(ConfigurationError):
    """An optional library is needed and not installed; the hint holds the install command."""

    code = "missing-dependency"


class CorruptDataError(CoreError):
    """Stored bytes or rows are not what was recorded."""

    code = "corrupt"
    exit_code = 6


class EventConflictError(CorruptDataError):
    """The same event key arrived with other content."""

    code = "event-conflict"


class InfrastructureError(CoreError):
    """Disk, network, engine or cloud failed; the user's code did not."""

    code = "infrastructure"
    exit_code = 7


class StoreError(InfrastructureError):
    """The artifact store or tracking store could not be read or written."""

    code = "store"


class WorkerDied(InfrastructureError):
    """The process of a step was ended from outside, or its result was lost."""

    code = "worker-died"


class JobLost(WorkerDied):
    """The orchestrator knows a step's job no more, or can't be asked for it, and it left no result."""

    code = "job-lost"


class ImageUnavailable(InfrastructureError):
    """The container image of a step can't be pulled."""

    code = "image-unavailable"


class StepCrashed(CoreError):
    """A step ended its own process before it returned: a crash, an exit."""

    code = "step-crashed"


class OutOfMemory(StepCrashed, MemoryError):
    """The kernel killed the process of a step, because there was no memory left for it."""

    code = "out-of-memory"


class StepTimeout(CoreError, TimeoutError):
    """An attempt took longer than the `timeout` of its step."""

    code = "timeout"


class ExpansionError(CoreError):
    """A mapped step cannot become its instances: too many items, or lists of different lengths."""

    code = "expansion"


class StepPreempted(InfrastructureError):
    """The process that ran a step was told to end by somebody else than its run."""

    code = "step-preempted"


class OutputError(CoreError):
    """A step's return value is not what its annotation says, or cannot be stored."""

    code = "output"


def own_frames(trace: TracebackType | None) -> TracebackType | None:
    """`trace` without core's own frames at its beginning: it starts at the user's code."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
        trace = trace.tb_next
    return trace


def theirs(filename: str) -> bool:
    """Whether a frame of this file is the user's: neither core's nor the standard library's; a suite's steps are."""
    return not filename.startswith((PACKAGE, LIBRARY, "<frozen ")) or filename.startswith(SUITES)


def raised_by_them(error: BaseException) -> bool:
    """Whether the user's own code raised `error`, or called what in the standard library did."""
    trace, last = error.__traceback__, ""
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        last = path if theirs(path) or path.startswith(PACKAGE) else last
        trace = trace.tb_next
    return bool(last) and theirs(last)


def through_core(error: BaseException) -> bool:
    """Whether a frame of core's stands in its traceback."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
        trace = trace.tb_next
    return trace is not None


def trace_text(error: BaseException) -> str:
    """The traceback of `error` and of what led to it, without secrets and core's frames before the last of the user's.

    What core did after that frame stays, so that a defect does not hide, unless core raised on purpose.
    """
    import traceback  # start-up time: only a failure needs it

    told: str = getattr(error, TOLD, "")
    if told and error.__traceback__ is None:
        return told
    whole = traceback.TracebackException.from_exception(error)
    todo = [whole]
    while todo:
        one = todo.pop()
        last = max((place for place, frame in enumerate(one.stack) if theirs(frame.filename)), default=-1)
        if one is whole and isinstance(error, CoreError | RecursionError):
            last = len(one.stack)
        if isinstance(error, KeyboardInterrupt):
            del one.stack[last + 1 :]  # what core was at when the signal came
        kept = enumerate(one.stack)
        one.stack[:] = [frame for place, frame in kept if place > last or not frame.filename.startswith(PACKAGE)]
        todo += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]
    text = "".join(whole.format())
    text = text.replace(_HEAD, "", 1) if text.startswith(_HEAD) and not text.startswith(f"{_HEAD}  ") else text
    return masked(text)


def masked(text: str) -> str:
    """`text` without the secrets that this process knows."""
    from core.mask import current  # start-up time: only a failure needs it

    return current().text(text)


def message_of(error: BaseException) -> str:
    """`str(error)` without secrets, also of a class of the user's whose `__str__` raises."""
    try:
        return masked(str(error))
    except Exception as wrong:  # noqa: BLE001 - border of people's own classes
        return f"(no message: its __str__ raised {type(wrong).__name__})"


def explain(error: BaseException) -> str:
    """What a person reads of an uncaught error: the traceback of their own code, then message and hint."""
    import traceback  # start-up time: only a failure needs it

    text = ""
    cause = error.__cause__
    if isinstance(error, RunFailed) and isinstance(cause, CoreError):
        text = f"{cause}\n" if hasattr(cause, "hint") else trace_text(cause)  # a stand-in's is in what its job told
    elif cause is not None and (
        isinstance(error, RunFailed) or (isinstance(error, CompileError) and raised_by_them(cause))
    ):
        text = trace_text(cause)
    elif not isinstance(error, RunFailed):
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if theirs(frame.filename)]
        written = [frame for frame in own if not _INSTALLED.intersection(frame.filename.split(os.sep))]
        text = "".join(traceback.format_list((written or own)[-1:]))
    name = "" if isinstance(error, CoreError) else f"{type(error).__name__}: "
    return masked(f"{text}core: {name}{error}")


def show_uncaught() -> None:
    """Let an uncaught `CoreError` of a script end in `explain`'s words and its exit code, not in core's own frames."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _excepthook


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt) and sys.stderr is not None:
        sys.stderr.write(trace_text(error))
        try:  # Python dies of SIGINT unless it evaluated a text after the interruption, as `traceback` made it do
            exec("raise KeyboardInterrupt")  # noqa: S102
        except KeyboardInterrupt:
            return
    if not isinstance(error, CoreError):
        if through_core(error) and raised_by_them(error) and "CORE_DEBUG" not in os.environ:
            sys.stderr.write(trace_text(error))  # a pipeline function of theirs: what core did around it is no help
        else:
            sys.__excepthook__(kind, error, trace)
        return
    from core.text import clean_lines  # start-up time: only a failure needs it

    sys.stderr.write(clean_lines(explain(error)) + "\n")
    if not sys.flags.inspect and not hasattr(sys, "ps1"):  # a prompt goes on
        raise SystemExit(error.exit_code)
