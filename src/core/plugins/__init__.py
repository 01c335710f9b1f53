"""What a plugin author imports: `hookimpl` marks a hook; `Flavor` and `Integration` are what hooks offer."""

from core.plugins.flavor import Flavor as Flavor
from core.plugins.flavor import Integration as Integration
from core.plugins.flavor import hookimpl as hookimpl

__all__ = ["Flavor", "Integration", "hookimpl"]
