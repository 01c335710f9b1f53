"""`core secret`: where values come from, and that none of them is shown unasked."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Piped(io.StringIO):
    """Standard input with something in it, or a terminal."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__()
        self.buffer, self._terminal = io.BytesIO(data), terminal

    def isatty(self) -> bool:
        return self._terminal


def test_values_from_files_pipes_and_prompts(core: Callable, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pw").write_text("from-file\n")
    monkeypatch.setattr(sys, "stdin", Piped(b"from-pipe\r\n"))
    done = core("secret", "create", "db", "--A_b-c=@pw", "--PIPED=-", "--at=@@sign-value")
    assert (done.code, done.out) == (0, "")
    assert done.err.count("warning") == 0
    monkeypatch.setattr(sys, "stdin", Piped(terminal=True))
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"typed-{prompt}")
    assert core("secret", "update", "db", "--asked").code == 0
    values = json.loads(core("secret", "show", "db", "--values", "-o", "json").out)["values"]
    assert values == {"A_b-c": "from-file", "PIPED": "from-pipe", "at": "@sign-value", "asked": "typed-asked: "}


def test_a_value_on_the_command_line_works_and_is_warned_of(core: Callable) -> None:
    done = core("secret", "create", "db", "--password=swordfish", "--user=admin99")
    assert done.code == 0
    assert "--password, --user stood on the command line" in done.err
    assert "swordfish" not in done.err


def test_values_are_shown_only_when_asked_for(core: Callable) -> None:
    core("secret", "create", "db", "--password=swordfish")
    for words in (
        ["list"],
        ["list", "-o", "json"],
        ["list", "-o", "yaml"],
        ["show", "db"],
        ["show", "db", "-o", "json"],
    ):
        done = core("secret", *words)
        assert done.code == 0
        assert "password" in done.out
        assert "swordfish" not in done.out + done.err
    assert core("secret", "show", "db", "--key", "password", "--values").out == "swordfish\n"
    assert "*** " not in core("secret", "show", "db", "--values").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create", "db"], 2, "no key"),
        (["create", "db", "--password", "swordfish"], 2, "stands alone"),
        (["create", "db", "--password"], 2, "no terminal to ask in"),
        (["create", "db", "--password="], 2, "--password is empty"),
        (["create", "db", "--a=-", "--b=-"], 2, "both be read from standard input"),
        (["create", "db", "--a=1", "--a=2"], 2, "--a is given twice"),
        (["create", "db", "--a=@nowhere"], 2, "'nowhere' cannot be read"),
        (["create", "d.b", "--a=@train.py"], 2, "no name of a secret"),
        (["create", "there", "--a=@train.py"], 5, "already"),
        (["show", "thre"], 3, "did you mean 'there'"),
        (["show", "there", "--key", "pasword"], 2, "did you mean 'password'"),
        (["update", "there"], 2, "nothing is to be changed"),
        (["delete", "nothing"], 3, "'nothing'"),
        (["import", "new", "nowhere.env"], 2, "'nowhere.env' cannot be read"),
        (["import", "new", "train.py"], 6, "train.py:2 is no line"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_kept(
    core: Callable, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped())
    core("secret", "create", "there", "--password=swordfish")
    done = core("secret", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "hint: " in done.err
    assert "swordfish" not in done.err
    assert [row["name"] for row in json.loads(core("secret", "list", "-o", "json").out)] == ["there"]


def test_import(core: Callable, project: Path) -> None:
    (project / ".env").write_text("USER=admin\nPASSWORD='sword fish'\n")
    assert core("secret", "import", "db", ".env").code == 0
    (project / "more.json").write_text('{"port": 5432}')
    assert core("secret", "import", "db", "more.json").code == 5
    assert core("secret", "import", "db", "more.json", "--update").code == 0
    values = json.loads(core("secret", "show", "db", "--values", "-o", "json").out)["values"]
    assert values == {"USER": "admin", "PASSWORD": "sword fish", "port": "5432"}


def test_update_removes_and_delete_deletes(core: Callable) -> None:
    core("secret", "create", "db", "--a=aaaaaaa", "--b=bbbbbbb")
    assert core("secret", "update", "db", "--remove", "a").code == 0
    assert json.loads(core("secret", "show", "db", "-o", "json").out)["values"] == {"b": "***"}
    assert core("secret", "delete", "db").code == 0
    assert core("secret", "show", "db").code == 3


def test_a_lost_key_is_not_made_anew(core: Callable, tmp_path: Path) -> None:
    core("secret", "create", "db", "--a=aaaaaaa")
    key = tmp_path / "home" / "secrets.key"
    key.unlink()
    for words in (["show", "db", "--values"], ["create", "other", "--a=aaaaaaa"]):
        done = core("secret", *words)
        assert done.code == 6
        assert "missing" in done.err
    assert not key.exists()
    assert core("secret", "list").code == 0
