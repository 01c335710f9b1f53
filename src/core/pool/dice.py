"""Random numbers of attempts: steps that run side by side draw different ones, and the same ones in every such run.

The generators of `random`, numpy and torch are seeded before each attempt from where the driver's own stood, the step
and the attempt: a program that seeds them gets the same numbers again, in whichever worker a step runs.
"""

from __future__ import annotations

import sys

from blake3 import blake3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def throw() -> dict[str, bytes]:
    """What each generator that the program has imported gives next: by the name of its module."""
    thrown = {}
    loaded: Mapping[str, Any] = sys.modules
    if "random" in loaded:
        thrown["random"] = loaded["random"].getrandbits(128).to_bytes(16, "big")
    if "numpy.random" in loaded:
        thrown["numpy.random"] = loaded["numpy.random"].bytes(16)
    if "torch" in loaded and hasattr(loaded["torch"], "initial_seed"):
        torch = loaded["torch"]
        number = int(torch.empty((), dtype=torch.int64).random_())
        thrown["torch"] = number.to_bytes(8, "big")
    return thrown


def seed(thrown: Mapping[str, bytes], step: str, attempt: int) -> None:
    """Seed them all for an attempt."""
    loaded: Mapping[str, Any] = sys.modules
    for name, base in thrown.items():
        if name not in loaded:
            continue  # a fresh nursery's steps have not used it yet
        digest = blake3(base + f"{step}\0{attempt}".encode("utf-8", "surrogatepass")).digest(16)
        if name == "random":
            loaded[name].seed(int.from_bytes(digest, "big"))
        elif name == "numpy.random":
            loaded[name].seed(int.from_bytes(digest[:4], "big"))
        else:
            loaded[name].manual_seed(int.from_bytes(digest[:7], "big"))
