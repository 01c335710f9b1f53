"""Two homes that share an artifact store: runs of the one are seen, shown, compared, gone on with and ended in the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.errors import StoreError


def test_a_run_is_seen_shown_and_compared_elsewhere(homes):
    homes.use("a")
    first = homes("run", "flow.py:training").split()[-1]
    second = homes("run", "flow.py:training", "--no-cache").split()[-1]
    assert not os.listdir(homes.folder / "a" / "journals")
    homes.use("b")
    assert homes.data("runs", "list") == []
    assert homes("runs", "sync").split() == [first, second]
    assert "2 runs" in homes.err
    assert [row["state"] for row in homes.data("runs", "list")] == ["completed", "completed"]
    shown = homes.data("runs", "show", first)
    homes.use("a")
    assert homes.data("runs", "show", first) == shown
    homes.use("b")
    assert "code" not in homes("runs", "diff", first, second)
    assert homes.data("runs", "sync") == {"runs": [], "events": 0, "aside": []}
    assert homes.data("run", "flow.py:training")["steps"][1]["state"] == "reused"
    homes("runs", "delete", first)
    homes("runs", "sync")
    assert first not in [row["id"] for row in homes.data("runs", "list")]


def test_a_failed_run_is_resumed_in_an_empty_home(homes):
    homes.use("a")
    Path("broken").touch()
    homes("run", "flow.py:training", code=1)
    run = homes.data("runs", "list")[0]["id"]
    Path("broken").unlink()
    homes.use("b")
    homes("runs", "resume", run)
    assert homes.calls() == ["load", "train", "train"]
    shown = homes.data("runs", "show", run)
    assert (shown["state"], [step["state"] for step in shown["steps"]]) == ("completed", ["completed", "completed"])
    homes.use("a")
    homes("runs", "sync")
    assert homes.data("runs", "show", run) == shown


def test_a_run_is_cancelled_from_another_home(homes):
    homes.use("a")
    Path("slow").touch()
    started = subprocess.Popen(
        [sys.executable, "-m", "core", "run", "flow.py:training"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    homes.use("b")
    run = homes.first_run()
    assert not (homes.folder / "b" / "logs").exists()
    homes.until(lambda: homes("runs", "logs", run, "train") == "training 3")
    homes("runs", "cancel", run, "--reason", "enough", "--wait", "30")
    assert started.wait(20) == 1
    assert "cancelled" in homes("runs", "logs", run, "-f") + homes.err
    shown = homes.data("runs", "show", run)
    assert (shown["state"], [step["state"] for step in shown["steps"]]) == ("cancelled", ["completed", "cancelled"])


def test_a_silent_run_goes_on_elsewhere_and_its_owner_is_kept_out(homes):
    homes.use("a")
    Path("slow").touch()
    owner = subprocess.Popen(
        [sys.executable, "-m", "core", "run", "flow.py:training"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    homes.use("b")
    run = homes.first_run()
    homes("runs", "resume", run, code=5)
    assert "is at work" in homes.err
    owner.send_signal(signal.SIGSTOP)
    Path("slow").unlink()
    homes.until(lambda: homes.data("runs", "show", run)["state"] == "lost")
    homes("runs", "resume", run)
    owner.send_signal(signal.SIGCONT)
    said = owner.communicate(timeout=20)[1].decode()
    assert owner.returncode == 5, said
    assert "another home" in said or "another process" in said
    shown = homes.data("runs", "show", run)
    assert shown["state"] == "completed"
    assert [len(step["attempts"]) for step in shown["steps"]] == [1, 2]
    homes.use("a")
    homes("runs", "sync")  # brings what the old owner could not, too
    shown = homes.data("runs", "show", run)
    homes.use("b")
    homes("runs", "sync")
    assert homes.data("runs", "show", run) == shown
    assert (shown["state"], shown["steps"][1]["attempts"][1]["state"]) == ("completed", "completed")


def test_what_kill_9_kept_from_the_journal_comes_with_the_next_run(homes, monkeypatch):
    homes.use("a")
    monkeypatch.setenv("CORE_FAILPOINTS", "run.ended=kill")
    command = [sys.executable, "-m", "core", "run", "flow.py:training"]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == -9
    monkeypatch.delenv("CORE_FAILPOINTS")
    run = homes.data("runs", "list")[0]["id"]
    assert os.listdir(homes.folder / "a" / "journals") == [run]
    homes("runs", "sync")
    assert not os.listdir(homes.folder / "a" / "journals")
    homes.use("b")
    homes("runs", "sync")
    assert homes.data("runs", "show", run)["state"] == "completed"


def test_a_lost_run_is_resumed_at_once_where_it_was_begun(homes, monkeypatch):
    homes.use("a")
    monkeypatch.setenv("CORE_HEARTBEAT", "60")
    monkeypatch.setenv("CORE_FAILPOINTS", "attempt.returned=kill@2")
    command = [sys.executable, "-m", "core", "run", "flow.py:training"]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == -9
    monkeypatch.delenv("CORE_FAILPOINTS")
    homes("runs", "resume", "latest")
    assert homes.calls() == ["load", "train", "train"]


def test_a_run_at_work_elsewhere_is_not_taken_for_lost(homes, monkeypatch):
    homes.use("a")
    Path("slow").touch()
    owner = subprocess.Popen(
        [sys.executable, "-m", "core", "run", "flow.py:training"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    homes.use("b")
    run = homes.first_run()
    time.sleep(1.8)  # more than three heartbeats: the lease that was heard of then has run out
    assert homes.data("runs", "list")[0]["state"] == "running"
    assert homes.data("runs", "show", run)["state"] == "running"
    with monkeypatch.context() as away:
        away.setattr("core.sharing.Sharing.sync", lambda *_: (_ for _ in ()).throw(StoreError("the bucket is away")))
        homes("runs", "list")
    assert "shown as last heard of: the bucket is away" in homes.err
    Path("slow").unlink()
    assert owner.wait(20) == 0
    assert homes.data("runs", "list")[0]["state"] == "completed"
