"""The journal of runs in a bucket: a little of the tracking store's suite with each change, all of it with CORE_FAULTS=1."""

from __future__ import annotations

import os
import sys
from urllib.parse import unquote

import pytest

from core import pipeline, step
from core.builtin.journal import logs, mirror
from core.builtin.journal.store import JournalTrackingStore
from core.cli import main
from core.errors import ConflictError, EventConflictError, LeaseLostError
from core.stack import Stack
from core.testing.engines.aws import statement
from core.testing.engines.proxy import Fault
from core.testing.engines.shared import free_port
from core.testing.suites.sample import completed, ended, run_id, started
from core.testing.suites.tracking_store import TrackingStoreSuite
from core.workspace import Workspace
from core_plugin_aws.s3_store import S3ArtifactStore
from core_plugin_aws.settings import S3Settings


@pytest.mark.skipif(os.environ.get("CORE_FAULTS") != "1", reason="two minutes: CORE_FAULTS=1 runs it")
class TestJournalInS3(TrackingStoreSuite):
    short = 3.0

    @pytest.fixture(autouse=True)
    def _bucket(self, s3):
        self._s3 = s3

    def make_store(self, folder):
        return JournalTrackingStore(self._s3())

    @pytest.mark.parametrize("seed", range(2))
    def test_the_order_of_arrival_does_not_matter(self, fresh, seed):  # each asks the server hundreds of times
        super().test_the_order_of_arrival_does_not_matter(fresh, seed)


def test_two_that_share_a_bucket(s3):
    area = s3()
    one, two = JournalTrackingStore(area), JournalTrackingStore(area)
    old = one.acquire(run_id(1), "one", 0.1)
    one.append([started(), completed()], old, {"d": "text"})
    one.append([completed()], old)
    assert (two.events(run_id(1)), two.document("d")) == ([started(), completed()], "text")
    with pytest.raises(EventConflictError):
        two.append([completed(at=7.0)])
    new = two.acquire(run_id(1), "two", 60)
    assert (new.epoch, one.lease(run_id(1)).owner) == (2, "two")
    with pytest.raises(LeaseLostError):
        one.append([ended()], old)
    with pytest.raises(ConflictError):
        one.acquire(run_id(1), "one", 60)
    assert [row.state for row in one.runs()] == ["running"]
    two.append([ended(epoch=2, writer="x")], new)
    assert [row.state for row in one.runs()] == ["completed"]
    for store in (one, two):
        store.close()


FLOW = """
from core import pipeline, step

@step
def one() -> int:
    return 1

@pipeline
def flow() -> None:
    one()
"""


@step
def grow(data: bytes) -> bytes:
    return data + data[-1:]


@pipeline
def growing() -> None:
    data = bytes(20_000)
    for _ in range(4):
        data = grow(data)


def test_requests_are_few(aws, fault_proxy, tmp_path, monkeypatch):
    proxy = fault_proxy(aws.endpoint)
    for name, value in {**aws.root.environment(proxy.url), "CORE_HOME": str(tmp_path), "CORE_DISPLAY": "none"}.items():
        monkeypatch.setenv(name, value)
    local, area = Workspace().stack, S3ArtifactStore(S3Settings(path=f"s3://{aws.bucket()}/x"))
    monkeypatch.setattr(Workspace, "stack", Stack("cloud", local.orchestrator, area))
    for most in (4 + 3, 4):  # outputs and inputs; then whether the outputs are still there
        proxy.reset_counts()
        growing()
        of_runs = [path for _, path in proxy.requests if "x/runs/" in unquote(path)]
        assert len(proxy.requests) - len(of_runs) <= most
        assert len(of_runs) <= 3 + 12  # its lease, and an object every two seconds; a slow machine looks at others, too
    area.close()


class Machine:
    """A home that has the stack `cloud`, whose store is at `path`."""

    def __init__(self, folder, monkeypatch, environment):
        self._patch, self._home = monkeypatch, str(folder)
        for name, value in {**environment, "CORE_DISPLAY": "none", "CORE_STACK": "cloud"}.items():
            monkeypatch.setenv(name, value)

    def __call__(self, *words):
        self._patch.setenv("CORE_HOME", self._home)
        return main(list(words))

    def register(self, path):
        settings = [f"--path={path}", "--retry-seconds=0", "--no-verify"]
        assert self("artifact-store", "register", "cloud", "-f", "s3", *settings) == 0
        assert self("stack", "register", "cloud", "-o", "default", "-a", "cloud", "--no-verify") == 0


GONE = {
    "server": "nobody answers",
    "bucket": "The specified bucket does not exist",
    "permission": "the permission s3:ListBucket is missing",
}


@pytest.mark.parametrize("gone", GONE)
def test_a_store_that_is_away_is_told(aws, tmp_path, monkeypatch, capsys, gone):
    keys = aws.user(statement("s3:GetObject")) if gone == "permission" else aws.root
    endpoint = f"http://127.0.0.1:{free_port()}" if gone == "server" else aws.endpoint
    machine = Machine(tmp_path, monkeypatch, keys.environment(endpoint))
    machine.register(f"s3://{'never-made' if gone == 'bucket' else aws.bucket()}/x")
    capsys.readouterr()
    assert machine("runs", "sync") == 7
    out, err = capsys.readouterr()
    assert (out, GONE[gone] in err, "hint: " in err) == ("", True, True)


def test_a_journal_that_cannot_be_written_comes_later(aws, fault_proxy, tmp_path, monkeypatch, capfd):
    for module in (mirror, logs):
        monkeypatch.setattr(module, "PATIENCE", 0.2)
    proxy = fault_proxy(aws.endpoint)
    (tmp_path / "flow_of_later.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = f"s3://{aws.bucket()}/x"
    one, two = (Machine(tmp_path / name, monkeypatch, aws.root.environment(proxy.url)) for name in "ab")
    one.register(path)
    two.register(path)
    proxy.fail(Fault(path="/x/runs/", status=503))
    capfd.readouterr()
    assert one("run", "flow_of_later.py:flow") == 0
    out, err = capfd.readouterr()
    assert "is not complete" in err
    assert "`core runs sync`" in err
    assert two("runs", "sync") == 0
    assert not capfd.readouterr().out
    proxy.fail()
    assert one("runs", "sync") == two("runs", "sync") == 0
    assert capfd.readouterr().out == out
