"""Annotations at run time: may a value go there, does it, and how is the annotation called."""

from core.conform.describe import describe
from core.conform.edges import accepts
from core.conform.values import matches

__all__ = ["accepts", "describe", "matches"]
