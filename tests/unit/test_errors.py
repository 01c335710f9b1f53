"""What a person reads of an error: their own frames, core's where core itself broke, then message and hint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core import pipeline, step
from core.errors import PACKAGE, CompileError, CoreError, RunFailed, _excepthook, explain, raised_by_them, trace_text
from core.values import to_plain


@step
def again(depth: int) -> int:
    return again(depth - 1) if depth else 1 // 0


def test_a_traceback_leaves_out_what_core_did_in_between() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        again(2)
    text = trace_text(caught.value)
    assert text.startswith("Traceback (most recent call last):\n  File ")
    assert text.count(", in again\n") == 3
    assert PACKAGE not in text
    assert raised_by_them(caught.value)


def test_a_defect_of_core_shows_where_it_is() -> None:
    def broken() -> None:
        exec(compile("1 / 0", f"{PACKAGE}values/encode.py", "exec"))  # noqa: S102 - stands for a defect in that file

    with pytest.raises(ZeroDivisionError) as caught:
        broken()
    assert f"{PACKAGE}values/encode.py" in trace_text(caught.value)
    assert not raised_by_them(caught.value)


def test_an_error_on_purpose_shows_no_frame_of_cores() -> None:
    with pytest.raises(CoreError) as caught:
        to_plain(object(), None, "x")
    assert PACKAGE not in trace_text(caught.value)
    caught.value.__traceback__ = None
    assert trace_text(caught.value).startswith("core.errors.ParameterError: ")


def test_what_the_standard_library_raised_for_the_user_is_theirs() -> None:
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads("]")
    assert raised_by_them(caught.value)


def test_the_line_shown_is_not_one_of_an_installed_package(tmp_path: Path) -> None:
    library = tmp_path / "site-packages" / "library.py"
    names: dict[str, Any] = {}
    exec(compile("def mean(x): return x.mean", library, "exec"), names)  # noqa: S102 - stands for an installed package

    @pipeline
    def flow() -> None:
        names["mean"](again(1))

    with pytest.raises(CompileError) as caught:
        flow()
    assert 'names["mean"](again(1))' in explain(caught.value)


def test_explain_shows_the_users_traceback_and_then_the_message() -> None:
    with pytest.raises(RunFailed) as caught:
        pipeline(lambda: again(0))()
    first, *_, last = explain(caught.value).splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith("  hint: see `core runs show ")
    error = CompileError("x does not fit", "mend it")
    assert explain(error) == "core: x does not fit [compile]\n  hint: mend it"


def test_a_program_that_ends_in_the_users_own_error_shows_their_frames_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def flow() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        pipeline(flow)()
    _excepthook(caught.type, caught.value, caught.tb)
    told = capsys.readouterr().err
    assert (told.count("File "), PACKAGE in told, told.splitlines()[-1]) == (2, False, "KeyError: 'mine'")
    monkeypatch.setenv("CORE_DEBUG", "1")
    _excepthook(caught.type, caught.value, caught.tb)
    assert PACKAGE in capsys.readouterr().err
