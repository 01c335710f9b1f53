"""What became of the images of a run: made, or found, and why."""

from __future__ import annotations

from core.model.value import Value
from core.text import amount, duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHOWN = 19
"""Characters of a digest that a line shows."""


class Part(Value):
    """The environment of an image, or the code on top of it."""

    name: str
    """Tag under which it is kept; the name that was given for a ready image."""
    action: str
    """`built`, `pushed`, `added`, `reused` or `given`."""
    reason: str
    """For people: why."""
    seconds: float = 0.0
    size: int = 0
    """Bytes that were sent for it; of the environment none that is known."""

    def told(self) -> str:
        """What was done, and why."""
        size = f", {amount(self.size)} sent" if self.size else ""
        return f"{self.action} ({self.reason}{size})"

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return {**self._asdict(), "seconds": round(self.seconds, 3)}


class Made(Value):
    """One image."""

    reference: str
    """By digest; on an engine without a registry the image's id."""
    steps: tuple[str, ...]
    """Node ids of the steps that run in it."""
    environment: Part
    code: Part | None = None
    requirements: str = ""
    """Where they come from; empty for a ready image."""
    left_out: tuple[str, ...] = ()
    """Files that looked as if they belonged to the code and stayed here."""
    asked: str = ""
    """The image that it is built on, as the settings name it."""
    base: str = ""
    """The same by digest: whoever goes on with the run asks no tag again."""
    key: str = ""
    """Digest of the environment and the code: the same key is the same image, whatever its labels say."""
    seconds: float = 0.0
    """That it took in all."""

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "reference": self.reference,
            "steps": list(self.steps),
            "environment": self.environment.to_data(),
            "code": self.code.to_data() if self.code is not None else None,
            "requirements": self.requirements,
            "left_out": list(self.left_out),
            "base": self.base,
            "seconds": round(self.seconds, 3),
        }

    def to_record(self) -> dict[str, Any]:
        """What a run records of it."""
        return {
            "reference": self.reference,
            "steps": list(self.steps),
            "asked": self.asked,
            "base": self.base,
            "key": self.key,
        }

    def line(self) -> str:
        """In one line: reference, what was reused or why it was made, size, time."""
        name, at, digest = self.reference.rpartition("@")
        both = (("environment", self.environment), ("code", self.code))
        parts = [f"{name}{at}{digest[:_SHOWN]}"]
        parts += [f"{what} {part.told()}" for what, part in both if part is not None]
        return "  ".join([*parts, duration(self.seconds)])
