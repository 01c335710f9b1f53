"""3. Graph and history to Plan: what each step will do, and why."""

from core.plan.planner import Planner

__all__ = ["Planner"]
