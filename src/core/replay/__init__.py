"""A recorded attempt once more, here and now: its inputs and parameters, as a run of its own or without record."""

from core.replay.perform import Replay, carry_out, replay
from core.replay.want import want

__all__ = ["Replay", "carry_out", "replay", "want"]
