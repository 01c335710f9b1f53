"""The border to a plugin's connector: what it raises and did not mean to is named as the plugin's."""

from __future__ import annotations

from contextlib import contextmanager

from core.errors import CoreError, PluginError, message_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def asked(name: str, kind: str) -> Iterator[None]:
    """Errors of core pass; any other becomes a `PluginError` that names the connector and its type."""
    try:
        yield
    except CoreError:
        raise
    except Exception as error:
        raise PluginError(
            f"service connector {name!r} of type {kind!r} raised {type(error).__name__}: {message_of(error)}",
            "that is a defect of its plugin; CORE_DEBUG=1 shows where",
        ) from error
