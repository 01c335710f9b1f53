"""2. From a pipeline function to its graph."""

from core.compile.pipeline import Compiled, compile_pipeline

__all__ = ["Compiled", "compile_pipeline"]
