"""Materializers of optional libraries pass the suite; each is skipped where its library is missing."""

import dataclasses
import gc
import itertools
import os
import subprocess
import sys

import pytest

from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.suites.materializer import MaterializerSuite

np = pytest.importorskip("numpy")
TABLE = MaterializerTable()


def there_and_back(value, store=None, limit=artifacts.INLINE_LIMIT):
    store = store or MemoryArtifactStore()
    ref = artifacts.save(value, store=store, materializers=TABLE, limit=limit)
    return ref, artifacts.load(ref, store=store, materializers=TABLE, trusted=lambda _: True)


class LibrarySuite(MaterializerSuite):
    """Names its materializer and library, and makes its values when both are there."""

    name = ""
    library = ""

    @pytest.fixture
    def materializer(self):
        pytest.importorskip(self.library or self.name)
        return TABLE.named(self.name)

    @pytest.fixture
    def values(self, materializer):
        return list(self.make())


class TestNumpy(LibrarySuite):
    name = "numpy"

    def make(self):
        plain = np.arange(24.0).reshape(2, 3, 4)
        yield from (plain, np.array(3), np.asfortranarray(plain[0]), plain[:, ::2, ::3], np.empty((0, 3)), np.empty(()))
        yield from (
            np.arange(3, dtype=">i2"),
            np.array(["a", "bc"]),
            np.array([b"a"]),
            np.array([1j]),
            np.array([True]),
        )
        yield np.array(["2020-01-01"], "M8[ns]")
        yield np.array([(1, 2.0, [1, 2])], dtype=[("é", "i4"), ("b", "f8"), ("c", "i2", (2,))])
        yield from (np.arange(100_000), np.asfortranarray(np.arange(90_000).reshape(300, 300)), np.arange(200_000)[::2])
        yield from (np.datetime64("2020-01-01"), np.longdouble(1) / 3, np.complex128(1j), np.str_("x"))

    def same(self, one, other):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)


def test_numpy_scalars_stay_what_they_are():
    for value in (np.float64(0.1), np.float32(0.1), np.float16(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(1)):
        ref, back = there_and_back({"k": [value]})
        assert ref.materializer == "json"
        assert type(back["k"][0]) is type(value)
        assert back["k"][0] == value


def test_arrays_load_as_private_writable_maps(tmp_path):
    store = LocalArtifactStore(str(tmp_path))
    ref, back = there_and_back(np.zeros(100_000), store)
    assert type(back) is np.ndarray
    assert isinstance(back.base, np.memmap)
    back[:] = 1
    assert there_and_back(np.zeros(100_000), store)[1].sum() == 0
    again = artifacts.load(ref, store=store, materializers=TABLE, trusted=bool)
    store.delete(ref.digest)
    assert again.sum() == 0


@pytest.mark.filterwarnings("ignore:.*matrix")
@pytest.mark.parametrize(
    "make",
    [lambda: np.array([1, "a", None], dtype=object), lambda: np.ma.array([1], mask=[1]), lambda: np.matrix([[1]])],
)
def test_arrays_without_a_plain_form_are_labelled_pickles(make):
    ref, back = there_and_back(make())
    assert (ref.materializer, type(back)) == ("cloudpickle", type(make()))


class TestArrow(LibrarySuite):
    name, library = "arrow", "pyarrow"

    def make(self):
        import pyarrow as pa

        yield pa.table({"a": [1, None], "s": ["x", None], "l": [[1], []]}, metadata={"k": "v"})
        yield pa.table({"a": list(range(50_000))})
        yield pa.table({})

    def same(self, one, other):
        return one.equals(other, check_metadata=True)


class TestPandas(LibrarySuite):
    name = "pandas"

    def make(self):
        pytest.importorskip("pyarrow")
        import pandas as pd

        frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": [1.5, np.nan, 3]})
        yield from (
            frame,
            frame.set_index("b"),
            frame.set_index(["a", "b"]),
            frame.astype({"b": "category"}),
            frame.iloc[:0],
            frame[["a"]],
        )
        hours = pd.date_range("2020", periods=3, freq="h", tz="Europe/Berlin")
        yield from (pd.DataFrame({"t": hours}), pd.DataFrame({"v": [1, 2, 3]}, index=hours))
        ordered = pd.Categorical(["lo", "hi"], ["lo", "hi", "never"], ordered=True)
        yield from (pd.DataFrame({"k": ordered}), pd.DataFrame({"a": [1, 2]}, index=pd.CategoricalIndex(["x", "y"])))
        yield pd.DataFrame(np.eye(3))
        yield pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["u", "v"]))
        yield pd.DataFrame(
            {"i": pd.array([1, None], "Int64"), "b": pd.array([True, None], "boolean"), "f": np.array([1, 2], "f4")}
        )
        yield pd.DataFrame({"o": pd.Series(["a", None, "b"], dtype=object), "n": pd.Series([None] * 3, dtype=object)})
        yield from (
            pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M")}),
            pd.DataFrame({"d": pd.to_timedelta([1, 2], unit="s")}),
        )
        yield pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="r"))
        yield from (
            pd.Series([1, 2], name="s"),
            pd.Series([1.0, 2], name=("a", 1)),
            pd.Series(["x"]),
            pd.Series([], dtype="f4"),
        )
        noted = frame.copy()
        noted.attrs = {"unit": ["m", 1]}
        yield noted

    def same(self, one, other):
        import pandas as pd

        check = pd.testing.assert_frame_equal if isinstance(one, pd.DataFrame) else pd.testing.assert_series_equal
        check(one, other, check_freq=True, check_index_type="exact", check_exact=True)
        return one.attrs == other.attrs


def test_frames_that_arrow_would_change_are_labelled_pickles():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frames = [
        pd.DataFrame([[1, 2]], columns=[1, "a"]),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"o": [1, "x", None]}),
        pd.DataFrame({"z": [1j]}),
        pd.DataFrame({"o": pd.Series(["a", np.nan], dtype=object)}),
    ]
    for frame in frames:
        ref, back = there_and_back(frame)
        assert ref.materializer == "cloudpickle"
        pd.testing.assert_frame_equal(frame, back)


class TestPolars(LibrarySuite):
    name = "polars"

    def make(self):
        import polars as pl

        yield pl.DataFrame(
            {"a": [1, None], "s": ["x", None], "l": [[1], []], "c": pl.Series(["u", "v"], dtype=pl.Categorical)}
        )
        yield from (
            pl.DataFrame(),
            pl.DataFrame({"a": range(50_000)}),
            pl.Series("s", [1.5, None]),
            pl.Series("e", [], dtype=pl.Date),
        )

    def same(self, one, other):
        import polars as pl

        schema = (
            one.schema == other.schema
            if isinstance(one, pl.DataFrame)
            else (one.name, one.dtype) == (other.name, other.dtype)
        )
        return schema and one.equals(other)


class TestSkops(LibrarySuite):
    name, library = "skops", "skops"

    def make(self):
        pytest.importorskip("sklearn")
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        yield LogisticRegression()
        yield make_pipeline(StandardScaler(), LogisticRegression()).fit(np.arange(20).reshape(10, 2), [0, 1] * 5)

    def same(self, one, other):
        data = np.arange(8).reshape(4, 2)
        return repr(one) == repr(other) and (
            not hasattr(one, "steps") or (one.predict_proba(data) == other.predict_proba(data)).all()
        )


@pytest.mark.skipif(
    os.environ.get("CORE_FAULTS") != "1", reason="imports scikit-learn once more: CORE_FAULTS=1 runs it"
)
def test_equal_estimators_have_one_digest_in_every_process():
    pytest.importorskip("skops")
    code = """
from sklearn.linear_model import Ridge
from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.testing.artifact_store import MemoryArtifactStore
model = Ridge().fit([[0.0], [1.0]], [0, 1])
print(artifacts.save(model, store=MemoryArtifactStore(), materializers=MaterializerTable()).digest)
"""
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    linear = pytest.importorskip("sklearn.linear_model")
    assert done.stdout.strip() == there_and_back(linear.Ridge().fit([[0.0], [1.0]], [0, 1]))[0].digest


def test_forest_that_skops_does_not_trust_is_a_labelled_pickle():
    ensemble = pytest.importorskip("sklearn.ensemble")
    forest = ensemble.RandomForestClassifier(2, random_state=0).fit([[0], [1]], [0, 1])
    ref, back = there_and_back({"model": forest})
    assert not ref.parts or len(ref.parts) == 1
    assert (back["model"].predict([[0], [1]]) == forest.predict([[0], [1]])).all()


class TestTorch(LibrarySuite):
    name = "torch"

    def make(self):
        pytest.importorskip("safetensors")
        import torch

        yield from (
            torch.arange(5.0),
            torch.tensor(3),
            torch.empty(0, 2),
            torch.ones(2, requires_grad=True),
            torch.ones(2, 3).T,
        )
        yield from (
            torch.ones(2, dtype=torch.bfloat16),
            torch.nn.Linear(2, 2).state_dict(),
            {"b": torch.ones(1), "a": torch.zeros(100_000)},
        )

    def same(self, one, other):
        import torch

        if isinstance(one, dict):
            assert getattr(one, "_metadata", None) == getattr(other, "_metadata", None)
            return list(one) == list(other) and all(self.same(one[key], other[key]) for key in one)
        return torch.equal(one, other) and (one.dtype, one.requires_grad) == (other.dtype, other.requires_grad)


class TestTorchPickle(LibrarySuite):
    name, library = "torch-pickle", "torch"

    def make(self):
        import torch

        yield from (
            torch.nn.Linear(2, 2),
            torch.nn.Parameter(torch.ones(2)),
            torch.tensor([1j]),
            torch.eye(2).to_sparse(),
        )

    def same(self, one, other):
        import torch

        if isinstance(one, torch.nn.Module):
            return torch.equal(one.weight, other.weight)
        return torch.equal(one.to_dense(), other.to_dense()) if one.is_sparse else torch.equal(one, other)


def test_tied_tensors_come_back():
    torch = pytest.importorskip("torch")
    one = torch.arange(5000.0)
    ref, back = there_and_back({"a": one, "b": one}, limit=100)
    assert torch.equal(back["b"], one)
    assert len(ref.parts) == 1, "equal content is stored once"


class TestImage(LibrarySuite):
    name, library = "image", "PIL.Image"

    def make(self):
        from PIL import Image

        for mode in ("1", "L", "LA", "RGB", "RGBA"):
            yield Image.effect_noise((40, 30), 50).convert("RGBA").convert(mode)

    def same(self, one, other):
        return one.mode == other.mode and one.size == other.size and one.tobytes() == other.tobytes()


class TestFigure(LibrarySuite):
    name, library = "figure", "matplotlib"

    def make(self):
        from matplotlib.figure import Figure
        from PIL import Image

        TestFigure.loaded_type = Image.Image
        figure = Figure(figsize=(3, 2), dpi=100)
        figure.add_subplot(title="loss").plot([1, 2])
        yield figure

    def same(self, one, other):
        return other.size == (300, 200)


@dataclasses.dataclass
class Result:
    scores: dict
    weights: object


def test_containers_of_all_of_these(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": range(5000)})
    value = {
        "frames": {"train": frame, "test": frame},
        "all": [np.arange(5000), Result({"f1": np.float64(0.5)}, np.arange(3))],
    }
    ref, back = there_and_back(value, LocalArtifactStore(str(tmp_path)))
    assert back["frames"]["test"].equals(frame)
    assert (back["all"][1].weights == np.arange(3)).all()
    assert type(back["all"][1]) is Result
    assert (ref.materializer, len(ref.parts)) == ("json", 2), "the frame is stored once"


def test_no_library_is_imported_for_other_values():
    code = """
import sys, threading
from core.builtin.materializers.table import MaterializerTable
table = MaterializerTable()
for value in (1, "x", [1], {1: 2}, threading.local): table.for_value(value)
print(sorted({"numpy", "pandas", "torch", "pyarrow", "sklearn", "PIL", "polars"} & set(sys.modules)))
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_big_array_is_saved_without_a_copy(tmp_path):
    import tracemalloc

    array = np.random.default_rng(0).random(2_000_000)
    store = LocalArtifactStore(str(tmp_path))
    gc.collect()
    tracemalloc.start()
    ref = artifacts.save(array, store=store, materializers=TABLE)
    back = artifacts.load(ref, store=store, materializers=TABLE, trusted=bool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(array, back)
    assert peak < array.nbytes / 10, list(itertools.islice([peak], 1))
