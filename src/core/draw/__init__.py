"""Pictures of a graph: SVG, mermaid and JSON."""

from core.draw.draw import draw as draw

__all__ = ["draw"]
