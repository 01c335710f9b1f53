"""Parameters as plain data: what is coerced, what is refused and how, and that all comes back as it was."""

from __future__ import annotations

import json
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, BaseModel, Field, RootModel, model_validator

from core.errors import ParameterError
from core.values import from_plain, to_plain

WHERE = "parameter 'config' of step 'train'"
UserId = NewType("UserId", int)


class Color(Enum):
    RED = "red"
    GREEN = 2


class Level(IntEnum):
    LOW = 1


class Mode(Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Movie(TypedDict, total=False):
    title: str
    years: list[int]


@dataclass
class Layer:
    size: int
    scale: list[float] = field(default_factory=list)
    secret: Any = None


@dataclass(frozen=True)
class Config:
    layers: tuple[Layer, ...]
    color: Color = Color.RED


@dataclass
class Doubled:
    value: int
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.value *= 2
        self.total = self.value


@dataclass
class Lost:
    seed: InitVar[int]
    value: int = 0


class Careful(BaseModel):
    most: Settings | None = None
    alias: int = Field(default=1, validation_alias=AliasChoices("other", AliasPath("first", 0)))


class Loose(BaseModel):
    model_config = {"extra": "allow"}


class Rewritten(BaseModel):
    size: int = 0

    @model_validator(mode="before")
    @classmethod
    def renamed(cls, data: dict[str, int]) -> dict[str, int]:
        return {"size": data["old"]}


class Settings(BaseModel):
    rate: float = Field(alias="r", default=0.1)
    inner: list[Point] = []


def there(value: Any, annotation: Any = None, **options: Any) -> Any:
    """The value after both ways, with JSON between them as in the store."""
    return from_plain(json.loads(json.dumps(to_plain(value, annotation, WHERE, **options))), annotation)


VALUES = [
    2**100,
    -(2**20_000),
    "\u00e9",
    "\ud800",
    float("inf"),
    -0.0,
    [1, [2, (3,)]],
    (),
    {1, 2},
    frozenset({("a", 1)}),
    {"a": {"b": None}},
    {"$": "tuple", "value": [1]},
    {"a": {"$": {"$": 1}}},
    {1: "int", "1": "text", (1, 2): "pair", True.__class__.__name__: 0},
    b"\x00\xff",
    1 + 2j,
    complex(0, float("inf")),
    Color.RED,
    Level.LOW,
    Mode.READ | Mode.WRITE,
    Point(1),
    Layer(1, [0.5], secret=Color.GREEN),
    Config((Layer(1), Layer(2))),
    Doubled(3),
    Settings(r=0.3, inner=[Point(1)]),
    Path("a/b"),
    PurePosixPath("/a"),
    datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - naive on purpose
    datetime(2026, 1, 2, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    date(2026, 1, 2),
    time(1, 2, 3),
    timedelta(days=-1, microseconds=5),
    UUID(int=5),
    Decimal("1.50"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = there(value)
    assert type(back) is type(value)
    assert back == value
    assert isinstance(value, set | frozenset | int | dict) or repr(back) == repr(value)


def test_nan_and_the_fold_of_a_time_come_back() -> None:
    assert there(float("nan")) != there(float("nan"))
    assert there(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))).fold == 1


_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.complex_numbers(allow_nan=False),
    st.dates(),
    st.timedeltas(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.sampled_from([*Color, *Level]),
    st.text("ab/.", min_size=1).map(Path),
)
_keys = st.one_of(st.just("$"), st.text(max_size=3), st.integers(2, 9), st.tuples(st.text(max_size=2)))
_data = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(_keys, inner, max_size=4),
        st.dictionaries(st.sampled_from(["$", "value"]), inner),
        st.builds(Layer, st.integers(), st.lists(st.floats(allow_nan=False)), inner),
    ),
    max_leaves=15,
)


@given(_data)
def test_any_supported_value_survives_json(value: Any) -> None:
    assert there(value) == value
    assert type(there(value)) is type(value)


@given(st.sets(st.integers() | st.text(max_size=4)), st.randoms())
def test_the_order_in_which_a_set_was_made_does_not_show(items: set[Any], random: Any) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    assert to_plain(set(shuffled), None, WHERE) == to_plain(items, None, WHERE)
    assert there(set(shuffled)) == items


def test_each_reading_gives_a_value_of_its_own() -> None:
    given_list = [1, [2]]
    plain = to_plain(given_list, list[Any], WHERE)
    given_list.append(3)
    from_plain(plain)[1].append(9)
    assert from_plain(plain) == [1, [2]]


def test_a_class_defined_inside_a_function_comes_back() -> None:
    @dataclass
    class Local:
        value: int

    assert there(Local(1)) == Local(1)
    assert there({"value": 1}, Local) == Local(1)


COERCED = [
    (1, float, 1.0),
    (1, complex, 1 + 0j),
    (np.int64(3), int, 3),
    (np.float32(0.5), float, 0.5),
    (np.float64(0.5), None, 0.5),
    (np.bool_(1), bool, True),
    ([1, 2], tuple[float, ...], (1.0, 2.0)),
    ((1, 2), list[int], [1, 2]),
    ({3, 1, 2}, list[int], [1, 2, 3]),
    ([1, 1], set[int], {1}),
    ([1, 1], frozenset[float], frozenset({1.0})),
    ((1, "a"), tuple[float, str], (1.0, "a")),
    ((1, 2), Sequence[float], (1.0, 2.0)),
    ({"a": 1}, Mapping[str, float], {"a": 1.0}),
    ("a/b", Path, Path("a/b")),
    ("red", Color, Color.RED),
    ("RED", Color, Color.RED),
    (2, Color, Color.GREEN),
    ({"size": 1, "scale": [1]}, Layer, Layer(1, [1.0])),
    ({"layers": [{"size": 1}], "color": "GREEN"}, Config, Config((Layer(1),), Color.GREEN)),
    ({"r": 1}, Settings, Settings(r=1.0)),
    ({"most": {"r": 1}, "first": [3]}, Careful, Careful(most=Settings(r=1.0), first=[3])),
    ({"any": 1}, Loose, Loose(any=1)),
    ({"old": 3}, Rewritten, Rewritten(old=3)),
    ({"any": 1}, RootModel[dict[str, int]], RootModel[dict[str, int]]({"any": 1})),
    ({"x": 1, "y": 2}, Point, Point(1, 2.0)),
    ([1, 2], Point, Point(1, 2.0)),
    ({"title": "x", "years": (1, 2)}, Movie, {"title": "x", "years": [1, 2]}),
    (None, Layer | None, None),
    ({"size": 1}, Layer | None, Layer(1)),
    (1, int | float, 1),
    (1, float | str, 1.0),
    (5, UserId, 5),
    ("a", Literal["a", "b"], "a"),
    (OrderedDict(a=1), dict[str, int], {"a": 1}),
]


@pytest.mark.parametrize(("value", "annotation", "wanted"), COERCED, ids=lambda item: type(item).__name__)
def test_a_value_is_coerced_to_its_annotation(value: Any, annotation: Any, wanted: Any) -> None:
    back = there(value, annotation)
    assert back == wanted
    assert type(back) is type(wanted)


LENIENT = [
    ("3", int, 3),
    (3.0, int, 3),
    ("1e-3", float, 0.001),
    ("yes", bool, True),
    ("False", bool, False),
    ("none", int | None, None),
    ("7", int | str, 7),
    ("x", int | str, "x"),
    ("none", str, "none"),
    ("1, 2", list[int], [1, 2]),
    ("[1, 2]", tuple[int, ...], (1, 2)),
    ("", list[int], []),
    ('{"1": 2}', dict[int, int], {1: 2}),
    ("2", Color, Color.GREEN),
    ("1", Level, Level.LOW),
    ("2", Literal["a", 2], 2),
    ('{"size": "4"}', Layer, Layer(4)),
    ('{"r": 1}', Settings, Settings(r=1.0)),
    ("a/b", Path | None, Path("a/b")),
    ("2026-01-02", date, date(2026, 1, 2)),
    ("1.5", timedelta, timedelta(seconds=1.5)),
    ("1.50", Decimal, Decimal("1.50")),
    (["1", "x"], list[int | str], [1, "x"]),
    ("kept", Any, "kept"),
]


@pytest.mark.parametrize(("value", "annotation", "wanted"), LENIENT, ids=lambda item: type(item).__name__)
def test_text_from_outside_is_read_as_the_annotation_asks(value: Any, annotation: Any, wanted: Any) -> None:
    back = there(value, annotation, lenient=True)
    assert back == wanted
    assert type(back) is type(wanted)


def cycle() -> list[Any]:
    loop: list[Any] = []
    loop.append({"again": loop})
    return loop


def deep(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


REFUSED = [
    (True, int, "config is bool True, expected int", "`bool`"),
    (True, float, "config is bool True, expected float", ""),
    (1.0, int, "config is float 1.0, expected int", "pass int"),
    (1, bool, "config is int 1, expected bool", "True or False"),
    ("5", int, "config is str '5', expected int", "command line"),
    (5, str, "config is int 5, expected str", ""),
    (None, int, "config is None, expected int", ""),
    (10**400, float, "config is int", "too large"),
    ([1, "a"], list[int], "config[1] is str 'a', expected int", ""),
    ({"a": {"b": "x"}}, dict[str, dict[str, int]], "config['a']['b'] is str 'x', expected int", ""),
    ((1, 2), tuple[int, int, int], "config has 2 items, expected 3", ""),
    ("abc", list[str], "config is str 'abc', expected list[str]", ""),
    ([[1]], set, "config can't be a set", "hashable"),
    ("blue", Color, "config is str 'blue', expected Color", "RED, GREEN"),
    ("c", Literal["a"], "config is str 'c', expected Literal['a']", ""),
    ({"size": 1, "sise": 2}, Layer, "config['sise'] is no field of Layer", "size, scale"),
    ({"scale": []}, Layer, "config lacks 'size', which Layer needs", "size, scale"),
    ({"layers": [{"size": "x"}]}, Config, "config.layers[0].size is str 'x', expected int", ""),
    ({"r": "x"}, Settings, "config.r does not fit Settings", ""),
    (
        {"inne": []},
        Settings,
        "config['inne'] is no field of Settings; did you mean 'inner'?",
        "its fields are r, inner",
    ),
    ({"most": {"rate": 1}}, Careful, "config.most['rate'] is no field of Settings", "its fields are r"),
    ({"title": 5}, Movie, "config.title is int 5, expected str", ""),
    (lambda: 0, None, "config is a function", "make it a step's output"),
    (Layer(1, secret=[0, threading.Lock()]), Layer, "config.secret[1] is a lock", "make it a step's output"),
    (Config((Layer(1, secret=object()),)), None, "config.layers[0].secret is an object", "plain data"),
    ({"a": sys.stdout}, None, "config['a'] is a", "plain data"),
    (pd.DataFrame(), None, "config is a DataFrame", "plain data"),
    (np.zeros(2), None, "config is a ndarray", "plain data"),
    (Lost(1), None, "config is a Lost, whose InitVar 'seed' is lost", "a default"),
    (cycle(), None, "config[0]['again'] contains itself", "cycles"),
    (deep(10_000), None, "is nested more than 100 deep", "plain data"),
    (deep(10_000), list[Any], "is nested more than 100 deep", "plain data"),
]


@pytest.mark.parametrize(("value", "annotation", "words", "hint"), REFUSED, ids=lambda item: str(type(item).__name__))
def test_what_does_not_fit_is_refused_with_its_place_and_a_mend(
    value: Any, annotation: Any, words: str, hint: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        to_plain(value, annotation, WHERE)
    assert caught.value.message.startswith(f"{WHERE}: ")
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("text", "annotation", "words"),
    [
        ("x", float, "which is no float"),
        (1.5, int, "expected int"),
        ("maybe", bool, "which is no bool"),
        ("[1", list[int], "which is no list[int]"),
        ("[" * 100_000, list[int], "which is no list[int]"),
        ("1,x", list[int], "config[1] is str 'x', which is no int"),
        ("9" * 5_000, int, "which is no int"),
        ("x", int | None, "expected int | None"),
        ("{}", Layer, "config lacks 'size'"),
        (1.0, str, "expected str"),
    ],
    ids=str,
)
def test_text_that_does_not_fit_is_refused(text: Any, annotation: Any, words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        to_plain(text, annotation, WHERE, lenient=True)
    assert words in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"$": "tests.gone:Class", "value": {}}, "'tests.gone:Class', which can't be found"),
        ({"$": "os:system", "value": "echo"}, "is no class of plain data"),
        ({"$": "newer", "value": 1}, "unknown kind 'newer'"),
        ({"$": "UUID", "value": "x"}, "can't be read back"),
        ({"$": "tuple"}, "can't be read back"),
        ({"$": 5, "value": 1}, "can't be read back"),
    ],
    ids=str,
)
def test_plain_data_that_can_not_be_read_is_refused(plain: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        from_plain(plain)


def test_a_recorded_class_that_changed_is_refused_by_name() -> None:
    plain = to_plain(Layer(1), Layer, WHERE)
    plain["value"].pop("size")
    with pytest.raises(ParameterError, match="can't be read back"):
        from_plain(plain, Layer)
