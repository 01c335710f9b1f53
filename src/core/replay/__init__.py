"""A recorded attempt once more, here and now: its inputs and parameters, as a run of its own or without record."""

from core.replay.changes import client_changes, code_changes
from core.replay.perform import Replay, carry_out, replay
from core.replay.want import PREFIX, Wanted, want

__all__ = ["PREFIX", "Replay", "Wanted", "carry_out", "client_changes", "code_changes", "replay", "want"]
