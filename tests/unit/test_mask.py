"""Secrets: which values are, that nothing of them stays however the text is cut, and what looking for them costs."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import mask
from core.mask import Mask, Stream, environment_secrets

SECRETS = ["abcabc", "cabcab", "bbbbbb", "secret-one", "abcabcabcx"]
TEXTS = st.lists(st.sampled_from([*SECRETS, "abc", "ab", "b", "bbb", "secret", "x", "\n", "é"]), max_size=12).map(
    "".join
)


def covered(text: bytes, needles: list[bytes]) -> list[bool]:
    """Of each byte, by brute force, whether a needle covers it."""
    marks = [False] * len(text)
    for needle in needles:
        for at in range(len(text)):
            if text.startswith(needle, at):
                marks[at : at + len(needle)] = [True] * len(needle)
    return marks


@given(TEXTS)
def test_nothing_that_a_secret_covers_stays_and_nothing_else_goes(text: str) -> None:
    one = Mask(SECRETS)
    marks = covered(text.encode(), one.needles)
    left = bytes(byte for byte, marked in zip(text.encode(), marks, strict=True) if not marked)
    assert one.data(text.encode()).replace(b"***", b"") == left
    assert one.text(text).encode() == one.data(text.encode())


@given(TEXTS, st.lists(st.integers(0, 80)))
def test_however_the_text_is_cut(text: str, cuts: list[int]) -> None:
    one, data = Mask(SECRETS), text.encode()
    stream, given, before = Stream(one), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        given += stream.feed(data[before:cut])
        before = max(before, min(cut, len(data)))
    assert given + stream.end() == one.data(data)
    assert stream.end() == b""


def test_only_what_may_become_a_secret_waits() -> None:
    stream = Stream(Mask(["topsecret"]))
    assert stream.feed(b"Continue? ") == b"Continue? "
    assert stream.feed(b"now: tops") == b"now: "
    assert stream.feed(b"!") == b"tops!"
    assert stream.feed(b"topsecre") == b""
    assert stream.end() == b"topsecre"


def test_a_secret_in_its_other_forms() -> None:
    value = 'pa/ss"word\\+é'
    one = Mask([value])
    for text in (value, quote(value), quote(value, safe=""), json.dumps(value), repr(value)):
        assert "word" not in one.text(f"url={text}&x"), text


def test_each_line_of_a_secret_of_several() -> None:
    one = Mask(["-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\r\nabc\n"])
    assert one.text("  MIIEowIBAAKCAQEA\nabc\n") == "  ***\nabc\n"


def test_plain_data() -> None:
    one = Mask(["topsecret"])
    assert one.plain({"a topsecret": ["xtopsecret", 1, None, {"y": 2.5}]}) == {"a ***": ["x***", 1, None, {"y": 2.5}]}
    assert Mask().plain({"a": 1}) == {"a": 1}
    assert one.text("lone \ud800 topsecret") == "lone \ud800 ***"


@pytest.mark.parametrize(
    "name",
    [
        "API_TOKEN", "HF_TOKEN", "GITHUB_TOKEN", "TOKEN_2", "SECRET", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "PGPASSWORD",
        "MYSQL_PWD", "DB_PASS", "WANDB_API_KEY", "OPENAI_APIKEY", "azure_client_secret", "DJANGO_SECRET_KEY", "SSH_PASSPHRASE",
        "AZURE_STORAGE_KEY", "APP_CREDENTIALS", "MASTER_PASSWORD_OLD", "X-AUTH-TOKEN",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert environment_secrets({name: "hunter-two"}) == ["hunter-two"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEYBOARD", "qwertz-layout"), ("TOKENIZERS_PARALLELISM", "false-value"), ("MONKEY", "see-no-evil"), ("SORT_KEY", "created_at"),
        ("PWD", "some/where"), ("OLDPWD", "some/where"), ("PAD_TOKEN", "<|endoftext|>"), ("SSH_AUTH_SOCK", "/run/agent"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "token.json"), ("SECRET_NAME", "database"), ("TOKEN_TTL", "3600000"), ("MAX_TOKENS", "1000000"),
        ("GOOGLE_APPLICATION_CREDENTIALS", __file__), ("API_TOKEN", "1"), ("API_TOKEN", "true"), ("API_TOKEN", "disabled"),
        ("HOME_URL", "https://host:8080/x?mail=a@b"), ("PASSAGE", "long-text"), ("CACHE_KEY", "customers"), ("API_TOKEN", None),
    ],
)  # fmt: skip
def test_what_is_none(name: str, value: str | None) -> None:
    assert environment_secrets({name: value}) == []


def test_more_that_is_one() -> None:
    assert environment_secrets({"DATABASE_URL": "postgres://me:hunter2@host/db"}) == ["hunter2"]
    assert environment_secrets({"STRIPE_KEY": "sk_live_51H8aZk0"}) == ["sk_live_51H8aZk0"]


def test_a_secret_that_was_seen_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_TEST_API_TOKEN", "canary-seen-once")
    assert mask.current().text("a canary-seen-once") == "a ***"
    monkeypatch.delenv("CORE_TEST_API_TOKEN")
    assert mask.current().text("a canary-seen-once") == "a ***"
    mask.add_secret("registered-value")
    mask.add_secret("short")
    assert mask.current().text("registered-value, short") == "***, short"


def test_looking_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        monkeypatch.setenv(f"VARIABLE_{number}", "value" * number)
    mask.current()
    best = min(_time(mask.current) for _ in range(20))
    assert best < 20e-6


def _time(call: object) -> float:
    began = time.perf_counter()
    for _ in range(100):
        call()  # type: ignore[operator]
    return (time.perf_counter() - began) / 100
