"""How the parts of a stack go together, and how their settings are typed, without a catalog."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal

import pytest
from pydantic import BaseModel

from core.errors import UsageError
from core.stack.check import mending, misfits
from core.stack.fields import from_texts


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


class Typed(BaseModel):
    fast: bool | None = None
    kind: Literal["bool", "int"] = "int"


def test_only_what_may_be_true_may_be_without_a_value():
    flavor = SimpleNamespace(Settings=Typed)
    assert from_texts(flavor, {"fast": None}) == {"fast": "true"}
    with pytest.raises(UsageError, match="--kind has no value"):
        from_texts(flavor, {"kind": None})
