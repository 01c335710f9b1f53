"""How the parts of a stack go together, without a catalog."""

from __future__ import annotations

from types import SimpleNamespace

from core.stack.check import mending, misfits


def test_a_folder_may_be_called_like_a_placeholder():
    parts = {
        "orchestrator": SimpleNamespace(name="far", remote=True),
        "artifact_store": SimpleNamespace(name="near", remote=False, shared=False),
    }
    errors = list(misfits("team", parts, mending("team", "/home/me/{a}/core.yaml")))
    assert [error.hint.rpartition(", ")[2] for error in errors] == [
        "then write `artifact_store: NAME` to the stack in /home/me/{a}/core.yaml",
        "then write `container_registry: NAME` to the stack in /home/me/{a}/core.yaml",
    ]
