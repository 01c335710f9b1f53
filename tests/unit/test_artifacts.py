"""Saving and loading: digests, verification, trust, inline limits, faults."""

import dataclasses
import os
import subprocess
import sys

import pytest

from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
from core.errors import CorruptDataError, NotFoundError, OutputError, PluginError, StoreError, UntrustedPickleError
from core.faults import arm
from core.model.artifact import ArtifactRef
from core.ports.materializer import Materializer
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.faulty import Faulty

BIG = b"\xfe" * 20_000


class Own:
    """A class that only a pickle can hold."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value == other.value

    __hash__ = None


@dataclasses.dataclass
class Pair:
    left: object
    right: object


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return LocalArtifactStore(str(tmp_path / "a")) if request.param == "local" else MemoryArtifactStore()


@pytest.fixture
def table():
    return MaterializerTable()


def blobs(store):
    return sorted(blob.digest for blob in store.list())


def spoil(store, digest, change):
    """Put changed bytes in the place of a blob's."""
    if isinstance(store, MemoryArtifactStore):
        store.blobs[digest] = change(store.blobs[digest])
        return
    path = store.path(digest)
    with open(path, "rb") as file:
        data = file.read()
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(change(data))


def test_small_values_stay_in_the_reference(store, table):
    ref = artifacts.save({"a": [1, 2]}, store=store, materializers=table)
    assert (ref.inline, ref.store, ref.materializer, ref.type) == (b'{"a":[1,2]}', "", "json", "builtins:dict")
    assert blobs(store) == []
    assert artifacts.read_bytes(ref, store) == ref.inline


def test_big_values_become_blobs_once(store, table):
    refs = [artifacts.save(BIG, store=store, materializers=table) for _ in range(2)]
    assert refs[0] == refs[1]
    assert blobs(store) == [refs[0].digest]
    assert (refs[0].size, refs[0].inline, refs[0].store) == (len(BIG), None, store.uri)
    assert artifacts.read_bytes(refs[0], store) == BIG


@pytest.mark.parametrize("size", [artifacts.INLINE_LIMIT, artifacts.INLINE_LIMIT + 1])
def test_limit_is_exact(store, table, size):
    ref = artifacts.save(b"x" * size, store=store, materializers=table)
    assert (ref.inline is None) == (size > artifacts.INLINE_LIMIT)


def test_reference_survives_json(store, table):
    ref = artifacts.save([BIG, b"\xff small", Own(1)], store=store, materializers=table)
    back = ArtifactRef.from_data(ref.to_data())
    assert back == ref
    assert artifacts.load(back, store=store, materializers=table, trusted=lambda _: True) == [
        BIG,
        b"\xff small",
        Own(1),
    ]


def test_parts_list_every_blob_below(store, table):
    ref = artifacts.save([[BIG], {"k": BIG + b"2"}, Pair(BIG, (BIG + b"3",))], store=store, materializers=table)
    assert sorted({ref.digest, *ref.parts} - ({ref.digest} if ref.inline is not None else set())) == blobs(store)
    assert len(ref.parts) == 3
    assert ref.store == store.uri
    assert ref.size > 4 * len(BIG)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    "change",
    [lambda data: bytes([data[0] ^ 1]) + data[1:], lambda data: data[:-1], lambda _: b"", lambda data: data + b"x"],
)
def test_spoilt_bytes_are_refused(store, table, nested, change):
    ref = artifacts.save({"k": BIG} if nested else BIG, store=store, materializers=table)
    spoil(store, blobs(store)[0], change)
    with pytest.raises(CorruptDataError) as caught:
        artifacts.load(ref, store=store, materializers=table, trusted=bool)
    assert all(word in str(caught.value) for word in (ref.digest, blobs(store)[0], store.uri, "--no-cache STEP"))


@pytest.mark.parametrize("nested", [False, True])
def test_missing_bytes_are_told(store, table, nested):
    ref = artifacts.save([BIG] if nested else BIG, store=store, materializers=table)
    store.delete(blobs(store)[0])
    with pytest.raises(NotFoundError) as caught:
        artifacts.load(ref, store=store, materializers=table, trusted=bool)
    assert all(word in str(caught.value) for word in (ref.digest, store.uri, "--no-cache STEP"))


def test_saving_again_mends_a_spoilt_blob(store, table):
    ref = artifacts.save(BIG, store=store, materializers=table)
    spoil(store, ref.digest, lambda data: data[::-1][1:])
    artifacts.save(BIG, store=store, materializers=table)
    assert artifacts.load(ref, store=store, materializers=table, trusted=bool) == BIG


def test_spoilt_inline_bytes_are_refused(store, table):
    ref = artifacts.save("text", store=store, materializers=table)
    with pytest.raises(CorruptDataError):
        artifacts.load(ref._replace(inline=b"tent"), store=store, materializers=table, trusted=bool)


@pytest.mark.parametrize("value", [Own(1), Own(BIG), [Own(1)], {"k": [Own(BIG)]}])
def test_pickles_load_only_when_their_digest_was_recorded(store, table, value):
    ref = artifacts.save(value, store=store, materializers=table)
    recorded = {ref.digest, *ref.parts}
    assert artifacts.load(ref, store=store, materializers=table, trusted=recorded.__contains__) == value
    with pytest.raises(UntrustedPickleError, match="never recorded"):
        artifacts.load(ref, store=store, materializers=table, trusted=lambda _: False)


def test_a_forged_reference_does_not_make_json_a_pickle(store, table):
    ref = artifacts.save("cos\nsystem\n(S'true'\ntR.", store=store, materializers=table)
    with pytest.raises(UntrustedPickleError):
        artifacts.load(
            ref._replace(materializer="cloudpickle"), store=store, materializers=table, trusted=lambda _: False
        )


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_failing_writes_leave_no_half_blob(tmp_path, table, number):
    inner = LocalArtifactStore(str(tmp_path))
    store = Faulty(inner, fail_nth=number)
    with pytest.raises(StoreError, match="No space left"):
        artifacts.save([BIG, BIG + b"2"], store=store, materializers=table)
    for digest in blobs(inner):
        artifacts.read_bytes(ArtifactRef(digest, 0, "", ""), inner)
    assert not os.listdir(tmp_path / "tmp")


def test_kill_before_publishing_shows_nothing(tmp_path):
    code = """
import sys
from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
artifacts.save(b"x" * 100_000, store=LocalArtifactStore(sys.argv[1]), materializers=MaterializerTable())
"""
    environment = {**os.environ, "CORE_FAILPOINTS": "artifact.written=kill"}
    done = subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, check=False)
    assert done.returncode == -9
    assert blobs(LocalArtifactStore(str(tmp_path))) == []


def test_failpoint_that_raises_cleans_up(tmp_path, table):
    arm("artifact.written=raise:OSError")
    try:
        with pytest.raises(OSError, match=r"artifact\.written"):
            artifacts.save(BIG, store=LocalArtifactStore(str(tmp_path)), materializers=table)
    finally:
        arm("")
    assert not os.listdir(tmp_path / "tmp")


class Rude(Materializer):
    """Its preview raises."""

    name = "rude"
    types = ("builtins:int",)

    def save(self, value, out):
        out.write(str(value).encode())

    def load(self, source):
        return int(source.read())

    def preview(self, value):
        raise RuntimeError


def test_preview_that_raises_never_breaks_a_save(store):
    table = MaterializerTable([Rude])
    ref = artifacts.save(7, store=store, materializers=table)
    assert (ref.materializer, dict(ref.preview)) == ("rude", {})
    assert artifacts.load(ref, store=store, materializers=table, trusted=bool) == 7


def test_two_plugins_of_one_name_are_refused():
    with pytest.raises(PluginError, match=r"'rude' is claimed by .*:Rude' and by .*:Rude'"):
        MaterializerTable([Rude, Rude()])


def test_unknown_and_unfit_names_are_told(table):
    with pytest.raises(PluginError, match="'nope'"):
        table.named("nope")
    with pytest.raises(OutputError, match="'bytes' does not take this value of type 'builtins:int'"):
        table.for_value(1, "bytes")


@pytest.mark.parametrize("value", [[], {}])
def test_values_that_contain_themselves_are_refused(store, table, value):
    value.append(value) if isinstance(value, list) else value.update(me=value)
    with pytest.raises(OutputError, match="contains itself"):
        artifacts.save(value, store=store, materializers=table)


def test_big_remote_blobs_come_through_a_file_that_goes(table, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = MemoryArtifactStore()
    value = os.urandom(artifacts.MEMORY_LIMIT + 12345)
    ref = artifacts.save(value, store=store, materializers=table)
    assert artifacts.load(ref, store=store, materializers=table, trusted=bool) == value
    spoil(store, ref.digest, lambda data: data[:-1] + b"?")
    with pytest.raises(CorruptDataError):
        artifacts.load(ref, store=store, materializers=table, trusted=bool)
    assert os.listdir(tmp_path) == []


def test_saving_a_scalar_imports_little(tmp_path):
    code = """
import sys
from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
store, table = LocalArtifactStore(sys.argv[1]), MaterializerTable()
ref = artifacts.save({"a": [1.5, "x", None]}, store=store, materializers=table)
artifacts.load(ref, store=store, materializers=table, trusted=bool)
bad = "pydantic fsspec pluggy rich asyncio importlib.metadata cloudpickle logging tempfile traceback numpy typing"
print([name for name in bad.split() if name in sys.modules and name != "typing"])
"""
    done = subprocess.run([sys.executable, "-I", "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
