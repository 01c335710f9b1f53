"""Tables, JSON and YAML; and that hostile names do nothing to a terminal."""

from __future__ import annotations

import json
import re
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.cli.output import clean_lines, emit, lasted, listing, readable_log, size, table
from core.text import readable

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(st.text())
def test_clean_leaves_nothing_that_acts(text: str) -> None:
    assert not CONTROL.search(clean_lines(text).replace("\n", "").replace("\t", ""))


def test_a_table_is_aligned_and_inert(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "started_at"), [["a\x1b[31m", "1"], ["long name", ""]])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["NAME       STARTED AT", "a\\x1b[31m  1", "long name"]


def test_a_table_in_a_terminal_takes_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    table(("name", "state"), [["[red]x[/red]", "failed"]])
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_program_reads_back_what_was_listed(form: str, read: object, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "x\x1b\u202e☃", "at": None, "n": [1, {"deep": True}]}]
    listing(rows, form, {"id": str})
    out = capsys.readouterr().out
    assert read(out) == rows  # type: ignore[operator]
    assert out.isascii()
    assert "\x1b" not in out


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{"loss": float("nan"), "best": (float("-inf"), 1.5)}], "json")
    assert json.loads(capsys.readouterr().out) == [{"loss": None, "best": [None, 1.5]}]


def test_emit_writes_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"a": 1}, "json")
    assert capsys.readouterr().out == '{\n  "a": 1\n}\n'


def test_a_log_in_a_terminal_keeps_colours_only() -> None:
    text = "\x1b[31mred\x1b[0m\x1b[2Jgone\r\nnext\x1b]0;title\x07\tend\n"
    assert readable_log(text, colour=True) == "\x1b[31mred\x1b[0m\\x1b[2Jgone\nnext\\x1b]0;title\\x07\tend\n"
    assert readable_log(text, colour=False) == "red\\x1b[2Jgone\nnext\\x1b]0;title\\x07\tend\n"


def test_lasted() -> None:
    assert lasted(1000.0, 1000.414) == "0.41 s"
    assert lasted(None, None) == ""
    assert lasted(time.time() - 200.2, None).startswith("3 min 20")


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 50, "1024.0 TiB")])
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_plain_data_reads_as_it_was_written() -> None:
    config = {"$": "run:Outer.Config", "value": {"rows": 3, "kind": {"$": "run:Kind", "value": "LOW"}}}
    assert readable(config) == "Config(rows=3, kind=Kind('LOW'))"
    assert readable({"a": [1, {"$": "tuple", "value": [None]}]}) == "{'a': [1, tuple([None])]}"
