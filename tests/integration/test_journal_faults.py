"""What may lie in a shared store, and what may happen to it: the rest is brought all the same, and nothing is lost."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core import Client
from core.builtin.journal.batch import Batch, pack, unpack
from core.builtin.journal.layout import LARGEST, batch_name
from core.errors import UntrustedPickleError
from core.testing.suites.sample import run_id


def put(store, name, data):
    path = store / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def strange(store, events):
    """Puts objects there that nobody can use; gives what is to be said of each."""
    run, other = events[0].run, pack(Batch(events[:1], {}))
    foreign, deep, newer = b'{"made": "by another tool"}', b"[" * 100_000, other.replace(b'"format":1', b'"format":2')
    return {
        put(store, "runs/README.txt", b"look here"): "it is no part of a journal",
        put(store, batch_name(run, "w", 0, foreign), foreign): "it is no part of a journal",
        put(store, batch_name(run, "w", 1, deep), deep): "it is no JSON",
        put(store, batch_name(run, "w", 2, newer), newer): "a newer core is needed",
        put(store, batch_name(run, "w", 3, b"was {"), b"is {"): "its bytes are not those that its name tells",
        put(store, batch_name(run_id(7), "w", 0, other), other): "it is of another run",
    }


WRONG = (
    {"at": 10**400},
    {"at": float("nan")},
    {"epoch": -1},
    {"step": None},
    {"data": {"state": "asleep"}},
    {"data": {"error": {"message": "no text"}}},
    {"kind": "step_expanded", "data": {"shape": [2, 10**9]}},
    {"kind": "metadata", "data": {}},
    {"kind": "attempt_completed", "data": {"outputs": ["none"]}},
    {
        "kind": "attempt_completed",
        "data": {"outputs": {"a": {"digest": 1, "size": 1, "type": "t", "materializer": "json"}}},
    },
    {"kind": "attempt_completed", "data": {"fingerprint": {"code": ["x"]}}},
    {"kind": "attempt_failed", "data": {"error": "no mapping"}},
)


def test_an_event_of_another_shape_hinders_nobody(homes):
    homes.use("a")
    run = homes("run", "flow.py:training").split()[-1]
    path = only_batch(homes, run)
    (end,) = [e for e in unpack(str(path.relative_to(homes.store)), path.read_bytes()).events if e.kind == "run_ended"]
    names = set()
    for number, fields in enumerate(WRONG):
        data = pack(Batch([end._replace(writer="w", seq=number, **fields)], {}))
        names.add(put(homes.store, batch_name(run, "w", number, data), data))
    names |= {put(homes.store, f"runs/{name}/w/0-0.json", b"") for name in ("a b", "\u05d0", "x" * 210)}
    large = put(homes.store, f"runs/{run}/w/1-0.json", b"")
    os.truncate(homes.store / large, LARGEST + 1)
    homes.use("b")
    told = homes.data("runs", "sync")
    assert (told["runs"], {each["name"] for each in told["aside"]}) == ([run], {*names, large})
    assert homes.data("runs", "show", run)["state"] == "completed"
    assert homes.data("gc", "--dry-run")["artifacts"] == []


LEASES = (
    '{"owner": "x", "seconds": NaN, "until": NaN}',
    '{"owner": 1, "seconds": 1%s, "until": 1}' % ("0" * 400),
    "[]",
    "{",
)


def test_a_lease_that_says_nothing_is_nobodys(homes):
    homes.use("a")
    run = homes("run", "flow.py:training").split()[-1]
    path = only_batch(homes, run)
    batch = unpack(str(path.relative_to(homes.store)), path.read_bytes())
    begun = pack(batch._replace(events=[event for event in batch.events if event.kind != "run_ended"]))
    path.unlink()
    put(homes.store, batch_name(run, batch.events[0].writer, 0, begun), begun)
    for letter, lease in zip("bcde", LEASES, strict=True):
        put(homes.store, f"runs/{run}/@lease/2", lease.encode())
        homes.use(letter)
        homes("runs", "sync")
        assert homes.data("runs", "list")[0]["state"] == "lost"


def only_batch(homes, run):
    """The object with the events of a short run."""
    (path,) = (homes.store / "runs" / run).glob("[!@]*/*.json")
    os.chmod(path, 0o644)
    return path


def test_what_cannot_be_used_is_named_and_the_rest_is_brought(homes):
    homes.use("a")
    runs = [homes("run", "flow.py:training", "--no-cache").split()[-1] for _ in range(2)]
    path = only_batch(homes, runs[0])
    name, data = str(path.relative_to(homes.store)), path.read_bytes()
    expected = strange(homes.store, unpack(name, data).events)
    path.write_bytes(data[:-20])
    expected[name] = "its bytes are not those that its name tells"
    homes.use("b")
    assert homes("runs", "sync").split() == [runs[1]]
    for object_, why in expected.items():
        assert any(object_ in line and why in line for line in homes.err.splitlines()), (object_, homes.err)
    assert [row["id"] for row in homes.data("runs", "list")] == [runs[1]]
    path.write_bytes(data)
    told = homes.data("runs", "sync")
    assert (told["runs"], {each["name"] for each in told["aside"]}) == ([runs[0]], set(expected) - {name})
    assert all((homes.store / object_).exists() for object_ in expected)


def test_an_event_that_was_forged_later_changes_nothing(homes):
    homes.use("a")
    run = homes("run", "flow.py:training").split()[-1]
    path = only_batch(homes, run)
    events = unpack(str(path.relative_to(homes.store)), path.read_bytes()).events
    homes.use("b")
    homes("runs", "sync")
    shown = homes.data("runs", "show", run)
    forged = pack(Batch([event._replace(data={**event.data, "state": "failed"}) for event in events], {}))
    name = put(homes.store, batch_name(run, events[0].writer, events[0].seq, forged), forged)
    told = homes.data("runs", "sync")
    assert (told["events"], [each["name"] for each in told["aside"]]) == (0, [name])
    assert homes.data("runs", "show", run) == shown


OWN = """
from pathlib import Path
from core import pipeline, step

class Own:
    def __reduce__(self):
        return Path.touch, (Path("was-loaded"),)

@step
def make() -> Own:
    return Own()

@pipeline
def making() -> None:
    make()
"""


def test_a_pickle_of_others_is_loaded_only_where_the_store_is_trusted(homes):
    Path("own.py").write_text(OWN)
    homes.use("a")
    run = homes("run", "own.py:making").split()[-1]
    homes.use("b")
    homes("runs", "sync")
    with pytest.raises(UntrustedPickleError, match="which others can write, too") as refused:
        Client().run(run).steps["make"].outputs["output"].load()
    (step,) = homes.data("run", "own.py:making")["steps"]
    assert (step["state"], "a pickle that others made" in step["reason"]) == ("completed", True)
    homes.use("c")
    homes("runs", "sync")
    assert not Path("was-loaded").exists()
    command = refused.value.hint.partition("`core ")[2].rstrip("`")
    assert command == "artifact-store update team --trusted true"
    homes(*command.split())
    assert homes.data("run", "own.py:making")["steps"][0]["state"] == "reused"
    Client().run(run).steps["make"].outputs["output"].load()
    assert Path("was-loaded").exists()
    assert "trusted" not in homes("stack", "export", "team")  # whoever imports it decides


@pytest.mark.parametrize("at_work", [True, False])
def test_killed_while_events_go_to_the_journal(homes, monkeypatch, at_work):
    homes.use("a")
    fired = Path("fired")
    monkeypatch.setenv("CORE_FAILPOINTS", f"journal.push=kill:{fired}")
    if at_work:
        Path("slow").touch()
    command = [sys.executable, "-m", "core", "run", "flow.py:training"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    assert fired.exists()
    monkeypatch.delenv("CORE_FAILPOINTS")
    (row,) = homes.data("runs", "list")
    assert (row["state"] == "completed") != at_work
    if at_work:
        Path("slow").unlink()
        homes("runs", "resume", row["id"])
    else:
        assert "1 run is not whole in the store that others share" in homes("doctor")
    done = homes.calls()
    assert done.count("load") == 1
    homes("runs", "sync")
    shown = homes.data("runs", "show", row["id"])
    homes.use("b")
    homes("runs", "sync")
    assert homes.data("runs", "show", row["id"]) == shown
    assert shown["state"] == "completed"
    assert homes.data("run", "flow.py:training")["steps"][1]["state"] == "reused"
    assert homes.calls() == done


def test_syncs_at_the_same_time(homes):
    homes.use("a")
    runs = {homes("run", "flow.py:training", "--no-cache").split()[-1] for _ in range(4)}
    homes.use("b")
    told = []
    threads = [threading.Thread(target=lambda: told.append(Client().sync())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6
    assert {run for synced in told for run in synced.runs} == runs
    assert not [synced.aside for synced in told if synced.aside]
    listed = homes.data("runs", "list")
    assert ({row["id"] for row in listed}, {row["state"] for row in listed}) == (runs, {"completed"})
    assert homes.data("runs", "sync")["events"] == 0


LARGE = """
from core import pipeline, step

@step
def big() -> str:
    return "x" * 20_000

@pipeline
def flow() -> None:
    big()
"""


def test_garbage_of_one_is_not_what_others_need(homes):
    Path("large.py").write_text(LARGE)
    homes.use("a")
    run = homes("run", "large.py:flow").split()[-1]
    for path in homes.store.rglob("*"):
        os.utime(path, (1.0, 1.0))
    (blob,) = [path for path in homes.store.rglob("*") if path.is_file() and len(path.name) > 60]
    homes("runs", "delete", run)
    assert homes.data("gc", "--yes")["artifacts"] == []  # here it is forgotten, in the journal it is not
    homes.use("b")
    newer = pack(Batch([], {})).replace(b'"format":1', b'"format":2')
    name = put(homes.store, batch_name(run_id(5), "w", 0, newer), newer)
    path = only_batch(homes, run)
    path.rename(path.with_suffix(".hidden"))
    assert homes.data("gc", "--yes")["artifacts"] == []  # what a newer core wrote may need it
    assert f"{name}' can't be used" in homes.err
    (homes.store / name).unlink()
    assert len(homes.data("gc", "--dry-run")["artifacts"]) == 1  # now nobody does
    path.with_suffix(".hidden").rename(path)
    assert homes.data("gc", "--older-than", "0d", "--keep", "0", "--yes")["runs"] == [run]
    homes.use("c")
    homes("runs", "sync")
    assert blob.exists()
    assert Client().run(run).steps["big"].outputs["output"].load() == "x" * 20_000
    homes("runs", "delete", run, "--everywhere")
    homes.use("d")
    homes("runs", "sync")
    assert (homes.data("runs", "list"), len(homes.data("gc", "--yes")["artifacts"]), blob.exists()) == ([], 1, False)
    homes("runs", "delete", run, code=3)
