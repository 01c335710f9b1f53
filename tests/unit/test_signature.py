"""What a function declares: inputs with runtime types, outputs by name, and errors that say where."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, TypeVar

import pytest

from core.errors import DefinitionError
from core.model.spec import MISSING
from core.signature import read_inputs, read_signature

if TYPE_CHECKING:
    from fractions import Fraction

T = TypeVar("T")


class Split(NamedTuple):
    train: list[int]
    test: Annotated[list[int], "other"]


@dataclass
class Scores:
    accuracy: float
    loss: float = 0.0


@dataclass
class Pair(Generic[T]):
    left: T
    right: int


@dataclass
class Seeded:
    seed: InitVar[int]
    made: int = field(init=False)


def outputs_of(function: Callable[..., Any]) -> dict[str, Any]:
    return {output.name: output.annotation for output in read_signature(function).outputs}


def test_inputs_carry_types_defaults_and_kinds() -> None:
    def step(a: int, /, b: str = "b", *rest: float, c: Annotated[int, "unit"] = 3, **more: list[int]) -> None: ...

    a, b, rest, c, more = read_signature(step).inputs
    assert (a.name, a.annotation, a.default, a.positional_only) == ("a", int, MISSING, True)
    assert (b.annotation, b.default, b.positional_only, b.keyword_only) == (str, "b", False, False)
    assert (rest.name, rest.annotation, rest.variadic) == ("rest", float, "*")
    assert (c.annotation, c.default, c.keyword_only) == (Annotated[int, "unit"], 3, True)
    assert (more.name, more.annotation, more.variadic) == ("more", list[int], "**")


def test_a_default_of_none_is_a_default_and_adds_nothing_to_the_type() -> None:
    def step(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - what people write

    assert read_signature(step).inputs[0][:3] == ("a", int, None)


def test_the_answer_is_remembered_for_each_function() -> None:
    def step(a: int) -> int: ...

    assert read_signature(step) is read_signature(step)


def single() -> int: ...
def named() -> Annotated[int, "count"]: ...
def annotated_without_name() -> Annotated[int, 5]: ...
def nothing() -> None: ...
def pair() -> tuple[Annotated[int, "a"], Annotated[str, "b"]]: ...
def unnamed_pair() -> tuple[int, Annotated[str, "b"]]: ...
def variadic() -> tuple[int, ...]: ...
def bare_tuple() -> tuple: ...
def whole_pair() -> Annotated[tuple[int, str], "both"]: ...
def split() -> Split: ...
def whole_split() -> Annotated[Split, "split"]: ...
def scores() -> Scores: ...
def generic_fields() -> Pair[str]: ...
def seeded() -> Seeded: ...
def optional_fields() -> Scores | None: ...
async def awaited() -> int: ...
def awaitable() -> Awaitable[int]: ...


@pytest.mark.parametrize(
    ("function", "shape", "outputs"),
    [
        (single, "single", {"output": int}),
        (named, "single", {"count": int}),
        (annotated_without_name, "single", {"output": int}),
        (nothing, "none", {}),
        (pair, "tuple", {"a": int, "b": str}),
        (unnamed_pair, "tuple", {"output_0": int, "b": str}),
        (variadic, "single", {"output": tuple[int, ...]}),
        (bare_tuple, "single", {"output": tuple}),
        (whole_pair, "single", {"both": tuple[int, str]}),
        (split, "fields", {"train": list[int], "test": list[int]}),
        (whole_split, "single", {"split": Split}),
        (scores, "fields", {"accuracy": float, "loss": float}),
        (generic_fields, "fields", {"left": str, "right": int}),
        (seeded, "single", {"output": Seeded}),
        (optional_fields, "single", {"output": Scores | None}),
        (awaited, "single", {"output": int}),
        (awaitable, "single", {"output": int}),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_the_return_annotation_names_the_outputs(function: Any, shape: str, outputs: dict[str, Any]) -> None:
    assert read_signature(function).shape == shape
    assert outputs_of(function) == outputs


def test_the_container_of_fields_is_told() -> None:
    assert read_signature(split).container is Split
    assert read_signature(generic_fields).container is Pair
    assert read_signature(pair).container is None


def test_a_class_in_the_closure_is_found_though_annotations_are_text() -> None:
    class Local:
        pass

    def step(a: Local) -> list[Local]:
        return [Local(), a]

    assert read_signature(step).inputs[0].annotation is Local


def test_decorators_and_partials_show_the_signature_that_a_caller_sees() -> None:
    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @decorator
    def step(a: int, b: str, c: float = 1.0, *, d: bool) -> int: ...

    assert [spec.name for spec in read_signature(step).inputs] == ["a", "b", "c", "d"]
    b, c, d = read_signature(functools.partial(step, 1, c=2.0)).inputs
    assert (b.name, b.default, b.keyword_only) == ("b", MISSING, False)
    assert (c.name, c.default, c.keyword_only) == ("c", 2.0, True)
    assert (d.name, d.keyword_only) == ("d", True)


def test_methods_and_callable_objects_have_no_self() -> None:
    class Trainer:
        def fit(self, rows: int) -> int: ...
        def __call__(self, rows: str) -> str: ...

    assert read_signature(Trainer().fit).inputs[0][:2] == ("rows", int)
    assert read_signature(Trainer()).inputs[0][:2] == ("rows", str)


def test_a_pipeline_may_leave_annotations_out() -> None:
    def pipeline(gamma=0.1, rows: int = 3): ...  # type: ignore[no-untyped-def]

    gamma, rows = read_inputs(pipeline)
    assert (gamma.annotation, gamma.default) == (Any, 0.1)
    assert rows.annotation is int


def no_parameter(gamma) -> None: ...  # type: ignore[no-untyped-def]
def no_variadic(*rest) -> None: ...  # type: ignore[no-untyped-def]
def no_return(gamma: int): ...  # type: ignore[no-untyped-def]
def only_for_checkers(ratio: Fraction) -> None: ...
def inside_for_checkers(ratio: list[Fraction]) -> None: ...
def returns_for_checkers() -> Fraction: ...
def no_type(a: 5) -> None: ...  # type: ignore[valid-type]
def no_syntax(a: "int[") -> None: ...  # type: ignore[syntax]  # noqa: F722 - what it is about


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "words", "hint"),
    [
        (no_parameter, "parameter 'gamma'", "gamma: float"),
        (no_variadic, "parameter *'rest'", "`rest: Any`"),
        (no_return, "no return annotation", "-> None"),
        (only_for_checkers, "parameter 'ratio', 'Fraction', names 'Fraction'", "not under `if TYPE_CHECKING:`"),
        (inside_for_checkers, "names 'Fraction'", "not under `if TYPE_CHECKING:`"),
        (returns_for_checkers, "the return annotation, 'Fraction'", "TYPE_CHECKING"),
        (no_type, "parameter 'a', '5', is no type", "list[int]"),
        (no_syntax, "is no type", "annotate with a class"),
        (generator, "is a generator: a step returns, it does not yield", "return a list"),
        (async_generator, "is a generator", "return a list"),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_a_signature_that_cannot_work_is_refused_by_name_and_place(function: Any, words: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_signature(function)
    assert words in caught.value.message
    assert f"{function.__module__}:{function.__qualname__}" in caught.value.message
    assert f"test_signature.py:{function.__code__.co_firstlineno}" in caught.value.message
    assert hint in caught.value.hint


def test_a_builtin_is_refused() -> None:
    with pytest.raises(DefinitionError, match="can't be read"):
        read_signature(len)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a\0b",
        "x" * 300,
        "\u202eevil",
        "\u05e9\u05dc\u05d5\u05dd",
        "a;b",
        "a/b",
        "a b",
        "-a",
        "1a",
        "a\n",
        "\ufb01t",
    ],
)
def test_a_hostile_output_name_is_refused_and_shown_in_ascii(name: str) -> None:
    def step() -> None: ...

    step.__annotations__["return"] = Annotated[int, name]
    with pytest.raises(DefinitionError, match="output name") as caught:
        read_signature(step)
    assert caught.value.message.isascii()
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("name", ["train", "train_2", "train-set", "größe", "_", "x" * 100])
def test_a_plain_output_name_is_fine(name: str) -> None:
    def step() -> None: ...

    step.__annotations__["return"] = Annotated[int, name]
    assert read_signature(step).outputs[0].name == name


def test_two_outputs_of_one_name_are_refused() -> None:
    def step() -> tuple[Annotated[int, "a"], Annotated[int, "a"]]: ...

    with pytest.raises(DefinitionError, match=r"'a' of step .* is there twice"):
        read_signature(step)


def test_reading_signatures_and_parameters_imports_nothing_heavy() -> None:
    code = """
import sys
from core.signature import read_signature
from core.values import from_plain, to_plain
def step(a: 'int', b: list[int] = ()) -> 'dict[str, float]': ...
read_signature(step)
assert from_plain(to_plain(1, int, 'a'), int) == 1
print(*{'inspect', 'dataclasses', 'json', 'datetime', 'pathlib', 'decimal', 'pydantic', 'numpy'} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
