"""Steps that ask for their context can be called in a test as plain functions."""

from __future__ import annotations

import pytest

from core import get_context, log_metadata, step
from core.errors import UsageError
from core.testing.context import step_context


@step
def train() -> int:
    (get_context().temporary_folder / "scratch").write_text("x")
    log_metadata(accuracy=0.5, attempt=get_context().attempt)
    return 1


def test_a_step_runs_within_a_context_of_the_tests() -> None:
    with step_context(attempt=2) as metadata:
        assert train() == 1
        folder = get_context().temporary_folder
    assert metadata == {"accuracy": 0.5, "attempt": 2}
    assert not folder.exists()
    with pytest.raises(UsageError):
        train()


def test_a_notebook_shows_what_a_terminal_would() -> None:
    lines = UsageError("it is wrong", "mend it")._render_traceback_()
    assert lines[-2:] == ["core: it is wrong [usage]", "  hint: mend it"]
