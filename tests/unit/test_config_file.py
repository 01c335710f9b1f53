"""The run configuration file: what it says, and the line of everything that is wrong in it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config_file import RunConfig, read_run_config
from core.errors import ConfigurationError
from core.model.spec import Resources, Retry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[[str | bytes], RunConfig]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a text as `run.yaml`."""

    def read_text(text: str | bytes) -> RunConfig:
        path = tmp_path / "run.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_run_config(str(path))

    return read_text


def test_everything_at_once(read: Read) -> None:
    config = read(
        "parameters:\n  gamma: 0.02\n  when: 2026-11-23\n  deep: {a: [1, null, true]}\n"
        "stack: cloud\nno-cache: [train]\nfail_fast: true\ntags: [nightly]\nworkers: auto\n"
        "steps:\n  train:\n    retry: 3\n    timeout: 60\n    resources: {cpus: 2, memory: 16GiB}\n    environment: {A: b}\n"
        "  load:\n    retry: {attempts: 2, delay: 0, infrastructure: 0}\n    map-limit: 5\n    cache: false\n  eval:\n",
    )
    assert config.parameters == {"gamma": 0.02, "when": "2026-11-23", "deep": {"a": [1, None, True]}}
    assert (config.stack, config.no_cache, config.fail_fast, config.tags) == ("cloud", ("train",), True, ("nightly",))
    assert config.steps["train"] == {
        "retry": Retry(attempts=3),
        "timeout": 60.0,
        "resources": Resources(cpus=2.0, memory="16GiB"),
        "environment": {"A": "b"},
    }
    assert config.steps["load"] == {
        "retry": Retry(attempts=2, delay=0.0, infrastructure=0),
        "map_limit": 5,
        "cache": False,
    }
    assert config.workers == 0
    assert config.steps["eval"] == {}


def test_an_empty_file_says_nothing(read: Read) -> None:
    assert read("# nothing\n") == RunConfig()


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("stack: a\nparameter:\n  x: 1\n", 2, "did you mean 'parameters'"),
        ("steps:\n  train:\n    retries: 3\n", 3, "did you mean 'retry'"),
        ("steps:\n  train:\n    resources:\n      cpu: 2\n", 4, "did you mean 'cpus'"),
        ("steps:\n  train:\n    timeout: soon\n", 3, "number"),
        ("steps:\n  train:\n    timeout: 0\n", 3, "above 0"),
        ("steps:\n  train:\n    timeout: .inf\n", 3, "number"),
        ("steps:\n  train:\n    retry: 0\n", 3, "whole number"),
        ("steps:\n  train:\n    retry: {jitter: 2}\n", 3, "from 0 to 1"),
        ("steps:\n  train:\n    retry:\n      infrastructure: -1\n", 4, "from 0 on"),
        ("stack: a\nworkers: many\n", 2, "auto for one a core, not 'many'"),
        ("workers: 1001\n", 1, "from 0 to 1000"),
        ("workers: true\n", 1, "from 0 to 1000"),
        ("steps: [train]\n", 1, "keys and values"),
        ("stack: 3\n", 1, "text"),
        ("fail_fast: 'yes'\n", 1, "true or false"),
        ("stack: a\nstack: b\n", 2, "first in line 1"),
        ("a: b: c\n", 1, "YAML"),
        ("a:\n  - x\n b: [\n", 3, "YAML"),
        ("parameters:\n  x: !!python/object/apply:os.system [ls]\n", 2, ""),
        ("parameters:\n  x: !!python/name:os.system x\n", 2, "not supported"),
        ("parameters:\n  [a, b]: 1\n", 2, "key"),
        ("- a\n", 1, "a list"),
        ("parameters:\n  x: !!int abc\n", 2, "int"),
        ("--- a\n--- b\n", 2, "YAML"),
        (b"stack: a\nproject: \xff\n", 2, "UTF-8"),
        ("stack: \x00\n", 1, "YAML"),
    ],
)
def test_the_line_is_named(read: Read, text: str | bytes, line: int, part: str) -> None:
    if "os.system [" in str(text):
        assert read(text).parameters == {"x": ["ls"]}  # a foreign tag on a list does nothing
        return
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert f"run.yaml:{line}: " in str(caught.value)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "parameters: " + "[" * 60 + "]" * 60,
        "parameters: " + "[" * 100_000,
        "a: &a [x]\nparameters: [" + ", ".join(["*a"] * 51) + "]",
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 25)),
        "parameters: &a [*a]",
        "parameters: " + "x" * 1_000_001,
    ],
)
def test_bombs_are_refused(read: Read, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"run\.yaml:\d+: "):
        read(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.yaml"):
        read_run_config(str(tmp_path / "gone.yaml"))


@given(text=st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_bytes_are_read_or_refused(text: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with suppress(ConfigurationError):
        read_run_config(str(path))
