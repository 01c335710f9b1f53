from __future__ import annotations

import pytest

from core.errors import ConfigurationError
from core.oci.reference import loopback, parse_reference

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("team/app", "docker.io/team/app"),
        ("localhost/app", "localhost/app"),
        ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1"),
        (f"example.com/a__b/c-d:v1@{DIGEST}", f"example.com/a__b/c-d:v1@{DIGEST}"),
    ],
)
def test_references_are_read_and_written(text: str, full: str):
    assert str(parse_reference(text)) == full
    assert parse_reference(full) == parse_reference(text)


@pytest.mark.parametrize(
    "text", ["", ":", "Upper", "a b", "example.com/", "a@sha256:12", "a:", "a:b:c", "-a", "a/../b", "a\n", "http://a/b"]
)
def test_what_names_no_image_is_refused(text: str):
    with pytest.raises(ConfigurationError, match="names no image"):
        parse_reference(text)


def test_a_digest_is_stronger_than_a_tag():
    reference = parse_reference(f"example.com/a:v1@{DIGEST}")
    assert reference.version == DIGEST
    assert str(parse_reference("example.com/a:v1").at(DIGEST)) == f"example.com/a@{DIGEST}"


def test_registries_of_this_machine_speak_plain_http():
    assert all(map(loopback, ["localhost", "localhost:5000", "127.0.0.1:1", "127.1.2.3", "[::1]:5000"]))
    assert not any(map(loopback, ["example.com", "localhost.example.com", "10.0.0.1:5000", "127.0.0.1.example.com"]))
