"""The vault: what it encrypts opens with its key and at its place only; where the key comes from, and what is refused."""

from __future__ import annotations

import os
import pickle
import stat
import sys
import threading
import types
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigurationError, CorruptDataError
from core.mask import current
from core.secrets import Vault
from core.secrets.key import FILE, VARIABLE, find, new

if TYPE_CHECKING:
    from pathlib import Path

PLACE = ("default", "secret", "db", "password")


@given(st.text(), st.text())
def test_any_text_comes_back(text: str, name: str) -> None:
    vault = Vault("/nonexistent", environment={VARIABLE: new()})
    token = vault.encrypt(text, ("p", "secret", name, "key"))
    assert vault.decrypt(token, ("p", "secret", name, "key")) == text
    assert token.isascii()


def test_a_token_tells_how_it_was_made_and_never_twice_the_same(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    one, two = vault.encrypt("opensesame", PLACE), vault.encrypt("opensesame", PLACE)
    assert one != two
    assert one.startswith(f"core1:{find(str(tmp_path), {})[0].id}:")
    assert current().text("opensesame") == "***"


def test_the_key_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    home = tmp_path / "home"
    before = os.umask(0)
    try:
        token = Vault(str(home)).encrypt("value", PLACE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    assert os.listdir(home) == [FILE]
    assert Vault(str(home)).decrypt(token, PLACE) == "value"


def test_many_who_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    tokens: list[str] = []
    vaults = [Vault(str(tmp_path)) for _ in range(8)]
    threads = [threading.Thread(target=lambda v=v: tokens.append(v.encrypt("value", PLACE))) for v in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {Vault(str(tmp_path)).decrypt(token, PLACE) for token in tokens} == {"value"}
    assert os.listdir(tmp_path) == [FILE]


def test_moved_or_changed_tokens_do_not_open(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    token = vault.encrypt("value", PLACE)
    other = token[:-6] + ("AAAA" if token[-6:-2] != "AAAA" else "BBBB") + token[-2:]
    for wrong, place in (
        (token, (*PLACE[:3], "user")),
        (other, PLACE),
        (token[:-8], PLACE),
        ("value", PLACE),
        (f"core9{token[5:]}", PLACE),
    ):
        with pytest.raises(CorruptDataError, match="'db'"):
            vault.decrypt(wrong, place)


def test_a_wrong_or_missing_key_is_named(tmp_path: Path) -> None:
    token = Vault(str(tmp_path)).encrypt("value", PLACE)
    mine = find(str(tmp_path), {})[0].id
    with pytest.raises(ConfigurationError, match=f"key '{mine}', which is missing; here is") as caught:
        Vault(str(tmp_path), environment={VARIABLE: new()}).decrypt(token, PLACE)
    assert VARIABLE in caught.value.hint
    (tmp_path / FILE).unlink()
    with pytest.raises(ConfigurationError, match=f"key '{mine}', which is missing"):
        Vault(str(tmp_path)).decrypt(token, PLACE)
    with pytest.raises(ConfigurationError, match="there are secrets already"):
        Vault(str(tmp_path), lambda: True).encrypt("value", PLACE)
    assert os.listdir(tmp_path) == [], "no new key hides the loss"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("", 0o600, "is empty"),
        ("short\n", 0o600, "no key"),
        ("A" * 43 + "=", 0o644, r"other users \(mode 644\)"),
        ("keyring:12345678", 0o600, "cannot be used"),
    ],
)
def test_a_key_file_that_cannot_be_used(tmp_path: Path, text: str, mode: int, said: str) -> None:
    (tmp_path / FILE).write_text(text)
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(ConfigurationError, match=said) as caught:
        Vault(str(tmp_path)).encrypt("value", PLACE)
    assert caught.value.hint
    assert not text.strip() or text.strip() not in str(caught.value) or text.startswith("keyring")


def test_a_wrong_key_in_the_environment_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=VARIABLE) as caught:
        Vault("/nonexistent", environment={VARIABLE: "hunter2hunter2"}).encrypt("value", PLACE)
    assert "hunter2" not in str(caught.value)


def test_keys_can_change_hands(tmp_path: Path) -> None:
    token = Vault(str(tmp_path)).encrypt("value", PLACE)
    (tmp_path / FILE).write_text(new() + "\n" + (tmp_path / FILE).read_text())
    vault = Vault(str(tmp_path))
    assert vault.decrypt(token, PLACE) == "value", "the old key still opens"
    assert vault.encrypt("value", PLACE).split(":")[1] == find(str(tmp_path), {})[0].id != token.split(":")[1]


def test_a_vault_travels_without_its_key(tmp_path: Path) -> None:
    vault = Vault(str(tmp_path))
    token = vault.encrypt("value", PLACE)
    data = pickle.dumps(vault)
    assert find(str(tmp_path), {})[0].raw not in data
    assert pickle.loads(data).decrypt(token, PLACE) == "value"  # noqa: S301 - made above
    assert "Key(" in repr(find(str(tmp_path), {}))


class Ring:
    """A keyring of the operating system's, in a dict."""

    priority = 5

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, name: str, value: str) -> None:
        self.kept[service, name] = value

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring()
    module = types.ModuleType("keyring")
    module.get_keyring = lambda: ring  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    return ring


def test_a_keyring_that_works_keeps_the_key(tmp_path: Path, ring: Ring) -> None:
    token = Vault(str(tmp_path)).encrypt("value", PLACE)
    assert len(ring.kept) == 1
    assert (tmp_path / FILE).read_text() == f"keyring:{token.split(':')[1]}\n"
    assert Vault(str(tmp_path)).decrypt(token, PLACE) == "value"
    ring.kept.clear()
    with pytest.raises(ConfigurationError, match="holds no such key"):
        Vault(str(tmp_path)).decrypt(token, PLACE)


@pytest.mark.parametrize("broken", ["priority", "get_password", "set_password"])
def test_a_keyring_that_does_not_is_passed_over(tmp_path: Path, ring: Ring, broken: str) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("locked")

    setattr(ring, broken, 0 if broken == "priority" else fail)
    token = Vault(str(tmp_path)).encrypt("value", PLACE)
    assert not (tmp_path / FILE).read_text().startswith("keyring")
    assert Vault(str(tmp_path)).decrypt(token, PLACE) == "value"
