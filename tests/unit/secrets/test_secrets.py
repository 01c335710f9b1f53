"""Secrets in the catalog, references to them, and files that they are imported from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.errors import ConfigurationError, ConflictError, CoreError, NotFoundError, UsageError
from core.mask import current
from core.ports.catalog import Entry
from core.secrets import Secrets, Vault, references
from core.secrets.files import format_of, parse
from core.testing.memory import MemoryCatalog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(MemoryCatalog(), Vault(str(tmp_path)), actor="me@here")


def test_create_get_update_delete(secrets: Secrets) -> None:
    entry = secrets.create("db", {"user": "admin", "password": "swordfish"})
    assert (entry.kind, entry.name, entry.actor) == ("secret", "db", "me@here")
    assert "swordfish" not in repr(entry)
    assert secrets.get("db") == {"user": "admin", "password": "swordfish"}
    secrets.update("db", {"password": "salmon-fish", "port": "5432"}, remove=["user"])
    assert secrets.get("db") == {"password": "salmon-fish", "port": "5432"}
    assert (secrets.names(), secrets.keys("db")) == (["db"], ["password", "port"])
    secrets.delete("db")
    assert secrets.names() == []


def test_what_is_wrong_is_named(secrets: Secrets) -> None:
    secrets.create("database", {"password": "swordfish"})
    for call, error, said in (
        (lambda: secrets.create("database", {"a": "b"}), ConflictError, "already"),
        (lambda: secrets.create("a.b", {"a": "b"}), UsageError, "'a.b' is no name"),
        (lambda: secrets.create("a", {"b c": "swordfish"}), UsageError, "'b c' is no name of a key"),
        (lambda: secrets.create("a", {}), UsageError, "no key"),
        (lambda: secrets.get("databse"), NotFoundError, "'databse'"),
        (lambda: secrets.update("database", {}, ["pasword"]), NotFoundError, "did you mean 'password'"),
        (lambda: secrets.update("database", {}, ["password"]), UsageError, "no key left"),
    ):
        with pytest.raises(error, match=said) as caught:
            call()
        assert "swordfish" not in str(caught.value)
        assert caught.value.hint


def test_references_are_replaced_in_nested_data(secrets: Secrets) -> None:
    secrets.create("db", {"password": "swordfish", "tls.key": "{{db.password}}"})
    data = {
        "url": "pg://me:{{db.password}}@{{ db.password }}",
        "deep": [1, {"a": ("{{db.tls.key}}", None)}],
        "{{db.x}}": "{{no}} {{ also no }}",
    }
    assert secrets.resolve(data) == {
        "url": "pg://me:swordfish@swordfish",
        "deep": [1, {"a": ("{{db.password}}", None)}],
        "{{db.x}}": "{{no}} {{ also no }}",
    }, "what comes out of a secret is not looked through again"
    assert references(data) == [("db", "password"), ("db", "tls.key")]
    assert current().text("swordfish") == "***"
    plain = {"a": [1]}
    assert secrets.resolve(plain) is plain


def test_a_reference_to_nothing_says_where_it_stands(secrets: Secrets) -> None:
    secrets.create("db", {"password": "swordfish"})
    for text, said in (
        ("{{bd.password}}", "secret 'bd', which does not exist"),
        ("{{db.pasword}}", "did you mean 'password'"),
    ):
        for call in (secrets.resolve, secrets.check):
            with pytest.raises(NotFoundError, match=f"step 'load': {text}.*{said}"):
                call({"a": text}, "step 'load'")


def test_a_secret_that_is_used_is_not_deleted(secrets: Secrets) -> None:
    secrets.create("db", {"password": "swordfish"})
    secrets._catalog.put(Entry("artifact_store", "cloud", 0, {"settings": {"storage": [{"key": "{{db.password}}"}]}}))
    with pytest.raises(ConflictError, match="used by artifact store 'cloud'"):
        secrets.delete("db")
    secrets.delete("db", force=True)


def test_two_who_change_one_secret(secrets: Secrets) -> None:
    entry = secrets.create("db", {"password": "swordfish"})
    secrets.update("db", {"password": "salmon-fish"})
    with pytest.raises(ConflictError):
        secrets._catalog.put(entry)


ENV = """\ufeff# a comment
export USER=admin   # and one behind
PASSWORD = "two\\nlines \\"quoted\\" # no comment"
RAW='a $b \\n'
KEY="-----BEGIN
END-----"
URL=http://x/#fragment
"""


def test_env_files() -> None:
    assert parse(ENV, "env", "a.env") == {
        "USER": "admin",
        "PASSWORD": 'two\nlines "quoted" # no comment',
        "RAW": "a $b \\n",
        "KEY": "-----BEGIN\nEND-----",
        "URL": "http://x/#fragment",
    }


def test_json_and_yaml_files() -> None:
    assert parse('{"a": "b", "port": 5432, "on": true}', "json", "a.json") == {"a": "b", "port": "5432", "on": "true"}
    assert parse("a: b\nport: 5432\ntext: |\n  one\n  two\n", "yaml", "a.yaml") == {
        "a": "b",
        "port": "5432",
        "text": "one\ntwo\n",
    }
    assert [format_of(name) for name in (".env", "a.json", "b.YML", "c.yaml", "-")] == [
        "env",
        "json",
        "yaml",
        "yaml",
        "env",
    ]


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("A=1\nswordfish\n", "env", "x:2 is no line"),
        ('A="swordfish\n', "env", "x:1: the quote of 'A' does not end"),
        ('{"a": swordfish}', "json", "x:1 is no valid JSON"),
        ("[1]", "json", "no mapping"),
        ('{"a": {"b": "swordfish"}}', "json", "'a' holds a dict"),
        ("a: [swordfish", "yaml", "x:1 is no valid YAML"),
        ("a: !!python/object:os.system swordfish", "yaml", "no valid YAML"),
        ("a:", "yaml", "'a' holds nothing"),
        ("x: &a [swordfish]\n" + "y: *a\n" * 60, "yaml", "more than 50"),
        ("[" * 100_000, "json", "no valid JSON"),
    ],
)
def test_files_that_cannot_be_read_are_refused_without_a_value(text: str, form: str, said: str) -> None:
    with pytest.raises((ConfigurationError, UsageError), match=said) as caught:
        parse(text, form, "x")
    assert isinstance(caught.value, CoreError)
    assert "swordfish" not in str(caught.value)
