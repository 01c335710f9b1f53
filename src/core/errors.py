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


class RunFailed(CoreError):
    """A run ended without completing; `run` is its view, `__cause__` the first failed step's exception."""

    code = "run-failed"
    run: RunView


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


class OutputError(CoreError):
    """A step's return value is not what its annotation says, or cannot be stored."""

    code = "output"


def own_frames(trace: TracebackType | None) -> TracebackType | None:
    """`trace` without core's own frames at its beginning: it starts at the user's code."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
        trace = trace.tb_next
    return trace


def explain(error: BaseException) -> str:
    """What a person reads of an uncaught error: the traceback of their own code, then message and hint."""
    import traceback  # start-up time: only a failure needs it

    lines: list[str] = []
    cause = error.__cause__
    if isinstance(error, RunFailed) and cause is not None and not isinstance(cause, CoreError):
        lines += traceback.format_exception(type(cause), cause, own_frames(cause.__traceback__))
    elif isinstance(error, RunFailed) and cause is not None:
        lines.append(f"{cause}\n")
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith(PACKAGE)]
        lines += traceback.format_list(own[-1:])
    name = "" if isinstance(error, CoreError) else f"{type(error).__name__}: "
    return "".join([*lines, f"core: {name}{error}"])


def show_uncaught() -> None:
    """Let an uncaught `CoreError` of a script end in `explain`'s words, not in core's own frames."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _excepthook


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, CoreError):
        sys.stderr.write(explain(error) + "\n")
    else:
        sys.__excepthook__(kind, error, trace)
