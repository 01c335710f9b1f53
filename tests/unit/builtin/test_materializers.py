"""Every built-in materializer passes the suite; types, order and precision survive; equal values are equal bytes."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
import os
import pathlib
import socket
import subprocess
import sys
import threading
import uuid
import zoneinfo
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from core import artifacts
from core.builtin.materializers import BUILTIN
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
from core.errors import CorruptDataError, NotFoundError, OutputError, PluginError
from core.markup import HTML, Markdown
from core.names import locate
from core.ports.materializer import Materializer
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.suites.materializer import MaterializerSuite

TABLE = MaterializerTable()


def there_and_back(value, limit=artifacts.INLINE_LIMIT, store=None):
    store = store or MemoryArtifactStore()
    ref = artifacts.save(value, store=store, materializers=TABLE, limit=limit)
    return ref, artifacts.load(ref, store=store, materializers=TABLE, trusted=lambda _: True)


class Colour(enum.Enum):
    RED = "r"
    ALSO_RED = "r"  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: object
    y: object


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    y: object = None


@dataclasses.dataclass
class Growing:
    x: int
    made: list = dataclasses.field(default_factory=list, init=False)


class Model(BaseModel):
    name: str
    extra: dict[str, object] = {}
    _secret: int = 5


class Plain:
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __eq__(self, other):
        return type(other) is Plain and self.__dict__ == other.__dict__

    __hash__ = None


class Words(list):
    """A subclass that JSON would flatten."""


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
JSON = [
    {"a": [1, 2.5, None, True]}, None, True, 0, -0.0, 2**64, -(2**70), math.inf, 2 + 3j, [], {}, (), set(), frozenset({1, "a"}),
    (1, (2, [3])), {1: "a", "1": "b", (2, 3): "c", None: 1.0}, {"$": 1, "v": {"$": "tuple"}}, {"b": 1, "a": 2}, range(1, 10, 3),
    dt.datetime(2020, 2, 29, 12, 0, 0, 7), dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC),  # noqa: DTZ001 - a naive one is a value like any other
    dt.time(1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=-3), "mine")), dt.date(1, 1, 1), dt.timedelta(-1, 2, 3),
    decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=7), collections.OrderedDict(b=1, a=2),
    Colour.ALSO_RED, Level.LOW, Rights.READ | Rights.WRITE, Rights(0), Point(1, Level.LOW), Slotted(1, Point(2, {3})), Growing(1),
    Model(name="n", extra={"k": [Level.LOW]}), [b"short", b"long" * 5000, bytearray(b"x"), HTML("<b>"), "\ud800"],
]  # fmt: skip


class TestJson(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return TABLE.named("json")

    @pytest.fixture
    def values(self):
        return JSON

    def same(self, one, other):
        if isinstance(one, set | frozenset):  # in what order they show themselves hangs on how they were filled
            return sorted(map(repr, one)) == sorted(map(repr, other))
        return one == other and repr(one) == repr(other)


class TestText(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return TABLE.named("text")

    @pytest.fixture
    def values(self):
        return [
            "plain",
            "",
            "é\0\r\n\u202e",
            "\ud83d\ude00 \ud800",
            HTML("<b>bold</b>"),
            Markdown("# head"),
            "x" * 100_000,
        ]


class TestBytes(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return TABLE.named("bytes")

    @pytest.fixture
    def values(self):
        return [b"\xff\0", b"", bytearray(b"mutable"), os.urandom(3 << 20)]


class TestCloudpickle(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return TABLE.named("cloudpickle")

    @pytest.fixture
    def values(self):
        return [
            Plain(x=1),
            Words([1]),
            collections.Counter("aab"),
            collections.defaultdict(list, {1: [2]}),
            Plain(data=b"x" * 100_000),
        ]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
scalars |= (
    st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes()
    | st.timedeltas()
    | st.fractions()
    | st.sampled_from([*Level, *Colour])
)
hashable = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.frozensets(hashable)
        | st.builds(Slotted, inner, inner)
        | st.builds(Point, inner, inner)
    ),
    max_leaves=12,
)


@given(values)
def test_any_plain_value_comes_back_exactly_and_has_one_digest(value):
    store = MemoryArtifactStore()
    ref, back = there_and_back(value, store=store)
    assert not TABLE.named(ref.materializer).pickles
    again, _ = there_and_back(back, store=store)
    assert again.digest == ref.digest
    assert type(back) is type(value)
    assert "nan" in repr(value).lower() or back == value


@given(st.sets(st.text() | st.integers()))
def test_equal_sets_are_equal_bytes(value):
    ordered = sorted(value, key=repr)
    digests = {there_and_back(set(order))[0].digest for order in (ordered, ordered[::-1])}
    assert len(digests) == 1


def test_equal_values_of_other_types_are_told_apart():
    values = [1, 1.0, True, "1", b"1", HTML("1"), Level.LOW, (1,), [1], {1}]
    refs = [there_and_back(value)[0] for value in values]
    assert len({ref.identity for ref in refs}) == len(values)


def test_integers_longer_than_python_prints_come_back():
    value = [10**6000, -(10**6000), 2**63, 1, {10**6000: 10**6000}]
    assert there_and_back(value)[1] == value
    assert there_and_back(10**6000)[1] == 10**6000


def test_order_of_a_dict_stays():
    assert list(there_and_back({"b": 1, "a": 2})[1]) == ["b", "a"]
    assert list(there_and_back({2: 1, 1: 2})[1]) == [2, 1]


def test_private_fields_of_a_pydantic_model_stay():
    model = Model(name="n")
    model._secret = 9
    back = there_and_back(model)[1]
    assert (back, back._secret, back.model_fields_set) == (model, 9, {"name"})


def test_subclasses_keep_their_class():
    class Local(dict):
        pass

    ref, back = there_and_back([Words([1]), Local(a=1)])
    assert (type(back[0]), type(back[1]).__name__, back) == (Words, "Local", [[1], {"a": 1}])
    assert ref.materializer == "json"


def test_attributes_beside_the_fields_are_not_lost():
    value = Growing(1)
    value.beside = 2
    assert there_and_back(value)[1].beside == 2


def test_class_that_lost_a_field_or_its_name_is_told(monkeypatch):
    store = MemoryArtifactStore()
    ref = artifacts.save(Slotted(1), store=store, materializers=TABLE)
    fewer = ref.inline.replace(b'"y"', b'"z"')
    with pytest.raises(NotFoundError, match="no field 'z'"):
        artifacts.load(forged(ref, fewer), store=store, materializers=TABLE, trusted=bool)
    with pytest.raises(NotFoundError, match="Gone"):
        artifacts.load(
            forged(ref, ref.inline.replace(b":Slotted", b":Gone")), store=store, materializers=TABLE, trusted=bool
        )
    with pytest.raises(CorruptDataError, match="was a dataclass"):
        artifacts.load(
            forged(ref, ref.inline.replace(b":Slotted", b":Plain")), store=store, materializers=TABLE, trusted=bool
        )


def forged(ref, data):
    from blake3 import blake3

    return ref._replace(inline=data, digest="blake3:" + blake3(data).hexdigest())


def test_field_that_is_new_takes_its_default():
    store = MemoryArtifactStore()
    ref = artifacts.save(Growing(3), store=store, materializers=TABLE)
    older = ref.inline.replace(b',"made":[]', b"")
    assert artifacts.load(forged(ref, older), store=store, materializers=TABLE, trusted=bool) == Growing(3)


def generator():
    yield 1


async def coroutine():
    return 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (generator, ["iterator", "'generator'", "list(...)"]),
        (lambda: map(str, [1]), ["iterator", "list(...)"]),
        (threading.Lock, ["lock", "__getstate__"]),
        (threading.RLock, ["lock"]),
        (lambda: [threading.Lock()], ["lock"]),
        (
            lambda: Plain(model=Plain(hooks=[1, {"k": threading.Lock()}])),
            [".model.hooks[1]['k']", "_thread:lock", "Plain"],
        ),
        (lambda: Plain(rows=Plain(it=generator())), [".rows.it", "list(...)"]),
        (lambda: pathlib.Path("/nowhere/at/all"), ["does not exist", "/nowhere/at/all"]),
    ],
)
def test_what_is_no_value_is_refused_by_name_with_a_mend(make, words):
    with pytest.raises(OutputError) as caught:
        there_and_back(make())
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_open_files_sockets_and_coroutines_are_refused(tmp_path):
    (tmp_path / "f").write_text("x")
    with open(tmp_path / "f") as file, pytest.raises(OutputError, match=r"open file[^$]*pathlib\.Path"):
        there_and_back(file)
    with open(tmp_path / "f", "rb") as file, pytest.raises(OutputError, match=r"\.deep\[0\]"):
        there_and_back(Plain(deep=[file]))
    with socket.socket() as connection, pytest.raises(OutputError, match="connection"):
        there_and_back(connection)
    waiting = coroutine()
    with pytest.raises(OutputError, match="await"):
        there_and_back(waiting)
    waiting.close()


def test_classes_of_a_program_load_elsewhere(tmp_path):
    (tmp_path / "program.py").write_text("""
import sys, json, dataclasses
from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore

@dataclasses.dataclass
class Fields:
    x: int

class Any:
    def __init__(self): self.x = Fields(2); self.f = helper
    def __reduce__(self): return Any, ()

def helper(): return 3

if __name__ == "__main__":
    table, store = MaterializerTable(), LocalArtifactStore("a")
    print(json.dumps([artifacts.save(v, store=store, materializers=table).to_data() for v in (Fields(1), Any())]))
""")
    (tmp_path / "other.py").write_text("""
import sys, json
from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
from core.model.artifact import ArtifactRef
refs = [ArtifactRef.from_data(data) for data in json.load(sys.stdin)]
table, store = MaterializerTable(), LocalArtifactStore("a")
one, two = (artifacts.load(ref, store=store, materializers=table, trusted=lambda _: True) for ref in refs)
print(refs[0].type, refs[1].materializer, type(one), type(two), two.x, two.f())
""")
    saved = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    done = subprocess.run(
        [sys.executable, "other.py"], cwd=tmp_path, input=saved.stdout, capture_output=True, text=True, check=True
    )
    assert (
        done.stdout.strip() == "program:Fields cloudpickle <class 'program.Fields'> <class 'program.Any'> Fields(x=2) 3"
    )


def folder(tmp_path):
    top = tmp_path / "model; ..\u202e x"
    (top / "sub" / "empty").mkdir(parents=True)
    (top / "a.txt").write_text("hello")
    (top / "sub" / "big.bin").write_bytes(b"\xff" * 50_000)
    (top / "sub" / "up").symlink_to("../a.txt")
    (top / "a.txt").chmod(0o755)
    return top


def tree_of(top):
    return sorted(
        (
            str(path.relative_to(top)),
            path.is_symlink(),
            path.read_bytes() if path.is_file() else None,
            bool(path.stat().st_mode & 0o100),
        )
        for path in top.rglob("*")
    )


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_folders_come_back(tmp_path, kind):
    store = LocalArtifactStore(str(tmp_path / "s")) if kind == "local" else MemoryArtifactStore()
    top = folder(tmp_path)
    ref, back = there_and_back(top, store=store)
    assert (back.name, tree_of(back)) == (top.name, tree_of(top))
    assert (ref.materializer, len(ref.parts)) == ("path", 1)
    (back / "sub" / "big.bin").write_bytes(b"mine now")
    assert tree_of(there_and_back(top, store=store)[1]) == tree_of(top)
    assert there_and_back(back.parent / back.name, store=store)[0].digest != ref.digest


@pytest.mark.parametrize("size", [0, 3, 3 << 20])
def test_files_come_back_with_their_name(tmp_path, size):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * size)
    back = there_and_back(file, store=LocalArtifactStore(str(tmp_path / "s")))[1]
    assert (back.name, back.read_bytes()) == ("weights.bin", b"w" * size)
    back.write_text("writable")


def test_link_out_of_a_folder_and_pipes_are_refused(tmp_path):
    top = folder(tmp_path)
    (top / "out").symlink_to("../elsewhere")
    with pytest.raises(OutputError, match=r"'out'.*outside"):
        there_and_back(top)
    (top / "out").unlink()
    os.mkfifo(top / "pipe")
    with pytest.raises(OutputError, match="'pipe'"):
        there_and_back(top)


@pytest.mark.parametrize(
    "manifest",
    [
        b'{"name":"..","folder":[]}',
        b'{"name":"a/b","folder":[]}',
        b'{"name":"a","folder":[["../x","folder",null]]}',
        b'{"name":"a","folder":[["l","link","/etc"]]}',
        b'{"name":"a","folder":[["l","link","../.."]]}',
        b'{"name":"a","folder":[["d","folder",null],["l","link","d"],["l/x","folder",null]]}',
    ],
)
def test_hostile_manifests_write_nothing_elsewhere(tmp_path, manifest):
    store = MemoryArtifactStore()
    ref = artifacts.save(folder(tmp_path), store=store, materializers=TABLE)
    with pytest.raises(CorruptDataError):
        artifacts.load(forged(ref, manifest), store=store, materializers=TABLE, trusted=bool)


def test_every_built_in_is_found_under_its_name():
    for name, types, target in BUILTIN:
        pytest.importorskip(
            {"arrow": "pyarrow", "skops": "sklearn", "torch-pickle": "torch"}.get(
                name, name if name in OPTIONAL else "json"
            )
        )
        assert locate(target).name == name
        assert all(kind.count(":") == 1 for kind in types)


OPTIONAL = {"numpy", "pandas", "polars", "torch"}


def test_a_plugin_cannot_take_the_name_of_a_built_in() -> None:
    class Mine(Materializer):
        name = "json"
        types = ("mine:Mine",)

        def save(self, value: Any, out: Any) -> None:
            out.write(b"")

        def load(self, source: Any) -> Any:
            return source.read()

    with pytest.raises(PluginError, match="'json' is claimed by"):
        MaterializerTable([Mine])
