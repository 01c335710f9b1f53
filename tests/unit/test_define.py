"""`@step`: the plain function outside, references inside, options checked where they are written."""

from __future__ import annotations

import asyncio

import pytest

from core import Retry, step
from core.errors import DefinitionError, UsageError


@step
def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


def test_outside_a_pipeline_it_is_the_function() -> None:
    assert add(1) == 3
    assert add(a=1, b=1) == 2
    assert add.map([1, 2], b=3) == [4, 5]
    assert (add.__name__, add.__doc__) == ("add", "Add.")


def test_it_is_known_by_module_and_name() -> None:
    assert add.spec.id.endswith("test_define:add")
    assert add.spec.travels == ""


def test_async_function_stays_one() -> None:
    @step
    async def later() -> int:
        return 4

    assert asyncio.run(later()) == 4  # type: ignore[arg-type]


def test_local_function_does_not_travel() -> None:
    @step
    def inner() -> int:
        return 1

    assert "inside a function" in inner.spec.travels


def test_with_options_changes_a_copy() -> None:
    other = add.with_options(cache=False, retry=Retry(attempts=2), name="sum up", tags=["x"])  # type: ignore[typeddict-item]
    assert (other.spec.options.cache, add.spec.options.cache) == (False, True)
    assert other.spec.options.tags == ("x",)
    assert other.spec.options.name == "sum up"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"cach": False}, "did you mean 'cache'"),
        ({"cache": 1}, "neither True nor False"),
        ({"timeout": -1}, "no positive number"),
        ({"timeout": True}, "no positive number"),
        ({"on_failure": 3}, "no function"),
        ({"environment": {"A": 1}}, "map text to text"),
        ({"tags": "abc"}, "several texts"),
    ],
)
def test_wrong_option(options: dict[str, object], word: str) -> None:
    with pytest.raises(DefinitionError, match=word):
        step(**options)(lambda: None)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["..", "a/b", "a\0b", "x" * 300, "\u202eabc", "a;rm", "", " a", ".hidden"])
def test_hostile_name(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        add.with_options(name=name)


def test_decorating_twice_or_a_class() -> None:
    with pytest.raises(DefinitionError, match="twice"):
        step(add)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="decorates functions"):
        step(int)
