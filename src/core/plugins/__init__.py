"""What a plugin author imports: `hookimpl` marks a hook's implementation, `Flavor` names a component."""

from core.plugins.flavor import Flavor as Flavor
from core.plugins.flavor import hookimpl as hookimpl

__all__ = ["Flavor", "hookimpl"]
