"""Annotations at run time: what accepts what, what matches, how it is called."""

# ruff: noqa: UP007, UP045, F821 - old spellings and unresolved names are among what is tested

import sys
from collections import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conform import accepts, describe, matches
from core.conform.items import asks_for_none, items_of

T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
Either = TypeVar("Either", int, str)
P = ParamSpec("P")
UserId = NewType("UserId", int)


class Model(Protocol):
    name: str

    def fit(self, rows: int) -> int: ...


class Good:
    def __repr__(self) -> str:  # in a test's name: the same in every process
        return "Good()"

    def __init__(self) -> None:
        self.name = "good"

    def fit(self, rows: int) -> int:
        return rows


class NoFit:
    name = "none"


class Ints(list[int]):
    pass


class Box(Generic[T]):
    pass


class IntBox(Box[int]):
    pass


class Movie(TypedDict):
    title: str
    year: int


class Hostile(type):
    def __subclasscheck__(cls, other: type) -> bool:
        raise RuntimeError

    def __instancecheck__(cls, other: object) -> bool:
        raise RuntimeError


class Raises(metaclass=Hostile):
    pass


ACCEPTED = [
    (Sequence[int], list[int]),
    (list[int], list),
    (list, list[int]),
    (list[int], list[Any]),
    (list[float], list[int]),
    (float, int),
    (complex, float),
    (int, bool),
    (Optional[int], int),
    (Optional[int], None),
    (int | str, str),
    (int | None, Union[int, None]),
    (Model, Good),
    (T, int),
    (Bound, bool),
    (Either, str),
    (Any, int),
    (int, Any),
    (object, list[int]),
    (int, object),
    (Mapping[str, float], dict[str, int]),
    (Iterable[str], dict[str, int]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, int], tuple[int, ...]),
    (tuple, tuple[int, str]),
    (Sequence[int], tuple[int, bool]),
    (Sequence[int], Ints),
    (list[int], Ints),
    (Box[int], IntBox),
    (type[int], type[bool]),
    (type, type[int]),
    (int, UserId),
    (Annotated[int, "unit"], int),
    (int, Annotated[bool, "x"]),
    (Literal["a", "b"], Literal["a"]),
    (Literal["a"], str),
    (str, Literal["a"]),
    (Callable[[int], int], Callable[[str], str]),
    (Callable, type[int]),
    (Callable[P, int], Callable[[], int]),
    (npt.NDArray[np.float64], np.ndarray),
    (npt.NDArray[np.floating], npt.NDArray[np.float64]),
    (npt.ArrayLike, npt.NDArray[np.float64]),
    (float, np.float32),
    (int, np.int64),
    (abc.Hashable, str),
    (Sequence[str], str),
    (Movie, Movie),
    (Movie, dict[str, Any]),
    (Mapping[str, Any], Movie),
    ("Later", int),
    (list["Later"], list[int]),
    (None, None),
    (Raises, int),
]
REFUSED = [
    (list[int], list[str]),
    (Sequence[int], list[str]),
    (Sequence[int], str),
    (list[int], Sequence[int]),
    (int, str),
    (int, float),
    (int, None),
    (int, int | None),
    (int | str, bytes),
    (bool, int),
    (Model, NoFit),
    (Model, int),
    (Bound, str),
    (Either, bytes),
    (Mapping[str, int], dict[str, str]),
    (dict[str, int], dict[int, int]),
    (dict[str, int], list[int]),
    (tuple[int, int], tuple[int, int, int]),
    (tuple[int, ...], tuple[int, str]),
    (list[str], Ints),
    (Box[str], IntBox),
    (type[int], type[str]),
    (UserId, int),
    (str, UserId),
    (Literal["a"], Literal["b"]),
    (Literal[1], Literal[True]),
    (Literal[1], str),
    (Callable, int),
    (npt.NDArray[np.float64], npt.NDArray[np.int64]),
    (int, np.float64),
    (pd.DataFrame, pd.Series),
    (Movie, int),
    (list[list[int]], list[list[str]]),
]


@pytest.mark.parametrize(("wanted", "given_type"), ACCEPTED, ids=lambda kind: describe(kind))
def test_an_edge_that_fits_is_accepted(wanted: Any, given_type: Any) -> None:
    assert accepts(wanted, given_type)


@pytest.mark.parametrize(("wanted", "given_type"), REFUSED, ids=lambda kind: describe(kind))
def test_an_edge_that_does_not_fit_is_refused(wanted: Any, given_type: Any) -> None:
    assert not accepts(wanted, given_type)


def test_the_answer_is_remembered_by_identity_and_not_by_equality() -> None:
    one, true = list[Literal[1]], list[Literal[True]]
    assert one == true or hash(one)  # equal or not, they are two annotations
    assert accepts(one, one)
    assert not accepts(one, true)


def test_a_short_lived_annotation_leaves_no_wrong_answer_behind() -> None:
    for kind in [int, str] * 200:
        assert accepts(list[int], list[kind]) is (kind is int)


MATCHING = [
    (1, int),
    (1, float),
    (True, int),
    (None, None),
    (None, int | None),
    (np.float32(1), float),
    (np.int64(1), int),
    (np.bool_(1), bool),
    ([1, 2], list[int]),
    ([1, "a"], list[int | str]),
    ((1, "a"), tuple[int, str]),
    ((), tuple[int, ...]),
    ({"a": [1]}, dict[str, list[int]]),
    (Good(), Model),
    (len, Callable[[str], int]),
    (bool, type[int]),
    ("a", Literal["a", "b"]),
    ({"title": "x", "year": 1}, Movie),
    (7, UserId),
    (np.zeros(2), npt.NDArray[np.float64]),
    (np.zeros(2, np.longlong), npt.NDArray[np.int64]),
    ([1] * 100 + ["late"], list[int]),
    (3, Raises),
]


@pytest.mark.parametrize(("value", "annotation"), MATCHING, ids=repr)
def test_a_value_that_is_what_the_annotation_says_matches(value: Any, annotation: Any) -> None:
    assert matches(value, annotation) == ""


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        ("abc", list[int], "expected list[int], got str 'abc'"),
        (None, int, "expected int, got None"),
        (1.5, int, "expected int, got float 1.5"),
        ([1, "x"], list[int], "expected list[int], but item [1] is str 'x', not int"),
        ({"a": [1, "b"]}, dict[str, list[int]], "expected dict[str, list[int]], but item ['a'][1] is str 'b', not int"),
        ({1: 2}, dict[str, int], "expected dict[str, int], but item key 1 is int 1, not str"),
        ((1, 2, 3), tuple[int, int], "expected tuple[int, int], got tuple (1, 2, 3)"),
        ("c", Literal["a"], "expected Literal['a'], got str 'c'"),
        (True, Literal[1], "expected Literal[1], got bool True"),
        (NoFit, type[int], "expected type[int], got type <class"),
        (3, Model, "expected Model, got int 3"),
        ({"title": 1, "year": 1}, Movie, "expected Movie, but item ['title'] is int 1, not str"),
        ({"title": "x"}, Movie, "expected Movie, got dict"),
        (np.zeros(1), npt.NDArray[np.int64], "expected NDArray[int64], got ndarray"),
    ],
)
def test_a_value_that_is_not_is_told_in_one_sentence(value: Any, annotation: Any, sentence: str) -> None:
    assert matches(value, annotation).startswith(sentence)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` came with Python 3.12")
def test_an_alias_stands_for_its_type() -> None:
    names: dict[str, Any] = {}
    exec("type Pair[A, B] = dict[B, list[A]]\ntype Json = dict[str, Json] | list[Json] | int | None", names)  # noqa: S102
    pair, json = names["Pair"], names["Json"]
    assert accepts(dict[str, list[int]], pair[int, str])
    assert not accepts(dict[str, list[int]], pair[str, str])
    assert matches({"a": [1]}, pair[int, str]) == ""
    assert "not int" in matches({"a": ["x"]}, pair[int, str])
    assert matches({"a": [1, None, {"b": 2}]}, json) == ""
    assert matches({"a": [1, "x"]}, json)
    assert accepts(json, json)
    assert describe(pair[int, str]) == "Pair[int, str]"


def test_matching_consumes_no_iterator_and_survives_a_repr_that_fails() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

    numbers = iter([1, 2])
    assert matches(numbers, abc.Iterator[int]) == ""
    assert list(numbers) == [1, 2]
    assert matches(Rude(), int) == "expected int, got Rude"


def test_a_value_that_contains_itself_is_looked_at_for_a_while_only() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert matches(loop, list[list[Any]]) == ""


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (pd.DataFrame, "DataFrame"),
        (list[int], "list[int]"),
        (Optional[int], "int | None"),
        (Annotated[int, "x"], "int"),
        (dict[str, list[Any]], "dict[str, list[Any]]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (npt.NDArray[np.float64], "NDArray[float64]"),
        (Literal["a"], "Literal['a']"),
        (None, "None"),
        (T, "T"),
    ],
    ids=str,
)
def test_an_annotation_is_described_as_people_write_it(annotation: Any, text: str) -> None:
    assert describe(annotation) == text


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_annotation = st.recursive(
    st.sampled_from([int, str, float, bool, None, bytes, Any]),
    lambda inner: st.one_of(
        inner.map(lambda item: list[item]),
        inner.map(lambda item: dict[str, item]),
        st.tuples(inner, inner).map(lambda pair: tuple[pair]),
        st.tuples(inner, inner).map(lambda pair: Union[pair]),
        inner.map(lambda item: Sequence[item]),
    ),
    max_leaves=5,
)


@given(_annotation, _annotation, _plain)
def test_what_matches_one_side_of_an_accepted_edge_matches_the_other(wanted: Any, given_type: Any, value: Any) -> None:
    if accepts(wanted, given_type) and "Any" not in describe(given_type) and not matches(value, given_type):
        assert matches(value, wanted) == ""


@given(_annotation)
def test_every_annotation_accepts_itself_and_any(annotation: Any) -> None:
    assert accepts(annotation, annotation)
    assert accepts(annotation, Any)
    assert accepts(Any, annotation)


Names = NewType("Names", list[str])


class Bag(list[str]): ...


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("annotation", "items"),
    [
        (list[int], int), (tuple[int, ...], int), (list, Any), (tuple[int, str], int | str), (Bag, str), (range, int),
        (list[int] | tuple[str, ...], int | str), (Names, str), (Annotated[list[int], "x"], int), (Any, Any), (T, Any),
        (str, None), (bytes, None), (set[int], None), (dict[str, int], None), (Point, None), (int, None),
        (list[int] | None, None),
    ],
)  # fmt: skip
def test_items_of_annotations(annotation: Any, items: Any) -> None:
    assert items_of(annotation) == items


def test_items_of_abstract_annotations() -> None:
    assert [items_of(kind[int]) for kind in (Iterable, Sequence, abc.Iterator)] == [int, int, None]
    assert [asks_for_none(kind) for kind in (str | None, None, Any, T, int)] == [True, True, False, False, False]
