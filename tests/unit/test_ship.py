"""Components as plain data for jobs and drivers: with their secrets, and with the word which those are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from core import mask
from core.builtin.registries.settings import RegistrySettings
from core.builtin.stores.local import LocalArtifactStore
from core.builtin.stores.settings import FsspecSettings
from core.entrypoint import open_component
from core.model.spec import RunOptions
from core.ship import revealed
from core.stack import Stack
from core.testing.orchestrator import ProcessOrchestrator
from core.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WORD, LINE = "correct-horse-battery", 'a "quoted" line'


class Given:
    """A component that keeps what it was made of."""

    Settings = FsspecSettings

    def __init__(self, settings: Any) -> None:
        self.settings = settings


class Registry:
    """Knows that one only."""

    def flavor(self, _kind: str, _name: str) -> type[Given]:
        return Given


def test_secrets_of_settings_are_masked_where_they_travel_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask, "_known", mask._Known())
    mask.add_secret(WORD)
    mask.add_secret(f"first line\n{LINE}")
    mask.add_secret("a secret of something else")
    settings = FsspecSettings(
        path="memory://there", storage_options={"client": {"word": f"Bearer {WORD}", "pem": LINE}}
    )
    entry = json.loads(json.dumps({"flavor": "fsspec", **revealed(settings)}))
    assert entry["secrets"] == [WORD, f"first line\n{LINE}"]

    monkeypatch.setattr(mask, "_known", mask._Known())
    assert open_component(Registry(), "artifact_store", entry).settings == settings  # type: ignore[arg-type]
    assert mask.current().text(f"{WORD}, {LINE}") == "***, ***"


def test_jobs_are_told_what_is_secret_in_their_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mask, "_known", mask._Known())
    mask.add_secret(WORD)
    orchestrator, store = ProcessOrchestrator(), LocalArtifactStore(str(tmp_path / "store"))
    orchestrator.environment = {"PHRASE": f"say {WORD}", "LEVEL": "high"}
    monkeypatch.setattr(Workspace, "stack", Stack("process", orchestrator, store))
    with Workspace() as workspace:
        conditions = workspace.conditions(RunOptions(), {"process": orchestrator})
    orchestrator.close()
    assert conditions.shipping is not None
    assert conditions.shipping.secrets == (WORD,)


def test_a_password_that_was_given_as_it_is_is_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask, "_known", mask._Known())
    settings = RegistrySettings(uri="registry.example.com", username="me", password=WORD)  # type: ignore[arg-type]
    told = revealed(settings)
    assert (told["settings"]["password"], told["secrets"]) == (WORD, [WORD])
