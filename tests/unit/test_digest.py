"""Canonical bytes: no two different values collide, equal ones always agree."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import namedtuple
from enum import IntEnum, StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.digest import digest_of, pack
from core.errors import ParameterError

TEXTS = st.text(st.characters(exclude_categories=()), max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=4)
SMALL = st.sampled_from(
    [None, True, False, 0, 1, 0.0, -0.0, 1.0, "1", "", b"1", b"", [], {}, [0], [False], {"a": 1}, math.nan]
)
PLAIN = st.recursive(
    SCALARS | SMALL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


def reference(value: object) -> object:
    """A value that is equal to another's only when both are the same by type and content."""
    if isinstance(value, list | tuple):
        return ("list", tuple(map(reference, value)))
    if isinstance(value, dict):
        return ("dict", frozenset((key, reference(item)) for key, item in value.items()))
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    return (type(value).__name__, value)


@given(PLAIN, PLAIN)
def test_equal_bytes_exactly_for_equal_values(one: object, other: object) -> None:
    assert (pack(one) == pack(other)) == (reference(one) == reference(other))


@given(st.lists(PLAIN, max_size=4), st.lists(PLAIN, max_size=4))
def test_lists_side_by_side_do_not_run_together(one: list[object], other: list[object]) -> None:
    joined = b"".join(map(pack, one)) == b"".join(map(pack, other))
    assert joined == (reference(one) == reference(other))


@given(st.dictionaries(TEXTS, PLAIN, max_size=5))
def test_the_order_of_a_dict_does_not_count(value: dict[str, object]) -> None:
    assert pack(value) == pack(dict(reversed(value.items()))) == pack(MappingProxyType(value))


@pytest.mark.parametrize(
    ("one", "other"),
    [(["1", "b2"], ["1b", "2"]), (1, "1"), (1, True), (1, 1.0), (0.0, -0.0), ("\ud800\udc00", "\U00010000"), ("a", b"a"),
     ([], {}), ([[1], 2], [[1, 2]]), ({"a": 1}, ["a", 1]), (2**70, float(2**70)), (None, "None")],
)  # fmt: skip
def test_look_alikes_differ(one: object, other: object) -> None:
    assert pack(one) != pack(other)
    assert pack([one, [None]]) != pack([other, [None]])


def test_subclasses_count_as_their_plain_base() -> None:
    class Color(StrEnum):
        RED = "red"

    class Level(IntEnum):
        LOW = 1

    point = namedtuple("point", "x y")  # noqa: PYI024 - the plain kind
    assert pack(Color.RED) == pack("red")
    assert pack([Color.RED, {Color.RED: Level.LOW}]) == pack(["red", {"red": 1}])
    assert pack(point(1, 2)) == pack((1, 2)) == pack([1, 2])


def test_every_nan_is_one() -> None:
    other = -math.nan
    assert pack(other) == pack(math.nan)
    assert pack([other, 1]) == pack([math.nan, 1])
    assert pack({"a": other}) == pack({"a": math.nan})
    assert pack([[other], {"a": [other]}]) == pack([[math.nan], {"a": [math.nan]}])


def test_depth_is_no_matter() -> None:
    deep: object = 1
    for _ in range(10_000):
        deep = [{"a": deep}]
    assert len(pack(deep)) > 10_000


def test_what_is_no_plain_data_is_refused() -> None:
    loop: list[object] = []
    loop.append([loop])
    for value in (object(), {1: 2}, {"a": {2: 3}}, [1, {1, 2}], loop, bytearray(b"1"), 1j, memoryview(b"1")):
        with pytest.raises(ParameterError):
            pack(value)


def test_one_value_may_stand_in_two_places() -> None:
    shared = [[1]]
    assert pack([shared, shared]) == pack([[[1]], [[1]]])


def test_digests_do_not_depend_on_the_hash_seed() -> None:
    script = "from core.digest import digest_of; print(digest_of({k: [k, {'z': 1, k: 2.5}] for k in 'some words here'.split()}))"
    seen = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        seen.add(
            subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True).stdout
        )
    assert len(seen) == 1


def test_the_format_never_changes() -> None:
    """Keys in people's stores depend on it: a new digest here means that every step of everyone runs again."""
    assert pack({"b": [1, 2.5, "x"], "a": (None, True)}).hex() == (
        "7b7501000000615b020000004e5475010000006 25b030000006901000000670000000000000440750100000078 30".replace(
            " ", ""
        )
    )
    assert digest_of([]) == "blake3:3f842f3a8ba60632e2d9216d66e9086db8a1d34227ef9fb145fe31ff3e2bbd10"
