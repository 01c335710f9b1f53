"""What became of the images of a run: made, or found, and why."""

from __future__ import annotations

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Part(Value):
    """The environment of an image, or the code on top of it."""

    name: str
    """Tag under which it is kept; the name that was given for a ready image."""
    action: str
    """`built`, `pushed`, `reused` or `given`."""
    reason: str
    """For people: why."""
    seconds: float = 0.0
    size: int = 0
    """Bytes that were sent for it; of the environment none that is known."""

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return self._asdict()


class Made(Value):
    """One image."""

    reference: str
    """By digest."""
    steps: tuple[str, ...]
    """Node ids of the steps that run in it."""
    environment: Part
    code: Part | None = None
    requirements: str = ""
    """Where they come from; empty for a ready image."""
    left_out: tuple[str, ...] = ()
    """Files that looked as if they belonged to the code and stayed here."""

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "reference": self.reference,
            "steps": list(self.steps),
            "environment": self.environment.to_data(),
            "code": self.code.to_data() if self.code is not None else None,
            "requirements": self.requirements,
            "left_out": list(self.left_out),
        }
