"""core: plain functions as recorded pipelines, on the laptop at once, on any cloud unchanged."""

from __future__ import annotations

from core.context import get_context, log_metadata
from core.define import Step, step
from core.errors import CoreError, RunFailed
from core.model.spec import ImageSettings, Resources, Retry
from core.run import Pipeline, pipeline
from core.version import VERSION

__version__ = VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.client import Client
    from core.markup import HTML, Markdown
    from core.view import RunView

_LATER = {"Client": "core.client", "HTML": "core.markup", "Markdown": "core.markup", "RunView": "core.view"}

__all__ = [
    "HTML",
    "Client",
    "CoreError",
    "ImageSettings",
    "Markdown",
    "Pipeline",
    "Resources",
    "Retry",
    "RunFailed",
    "RunView",
    "Step",
    "__version__",
    "get_context",
    "log_metadata",
    "pipeline",
    "step",
]


def __getattr__(name: str) -> object:
    """Import what few scripts use when it is asked for."""
    if name in _LATER:
        from importlib import import_module  # start-up time: few scripts come here

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'core' has no attribute {name!r}")
