"""All that a step's process writes is its attempt's, whatever wrote it, and only its own."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
import threading
import time

from core.model.states import StepState

LINE = "x" * 99


def every_way() -> None:
    print("print")
    os.write(1, b"descriptor\n")
    subprocess.run(["echo", "child"], check=True)
    subprocess.run(["sh", "-c", "echo failure >&2"], check=True)
    libc = ctypes.CDLL(None)
    libc.printf(b"library\n")
    libc.fflush(None)
    thread = threading.Thread(target=print, args=("thread",))
    thread.start()
    thread.join()
    logging.getLogger("pool").error("logged")


def in_order() -> None:
    print("one")
    print("two", file=sys.stderr)
    time.sleep(0.2)  # the driver has read both by now
    print("three")


def closes() -> None:
    print("before")
    sys.stdout.flush()
    os.close(1)
    os.close(2)


def replaces() -> None:
    sys.stdout.close()
    sys.stderr = None
    sys.stdout = sys.__stdout__ = open(os.devnull, "w")  # noqa: SIM115
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def detaches() -> None:
    sys.stdout.detach()


def says() -> None:
    print("said")
    print("said so", file=sys.stderr)


def long_line() -> None:
    sys.stdout.write("y" * 10_000_000)


def many_lines() -> None:
    for number in range(100_000):
        print(number)


def unbuffered() -> None:
    for number in range(20_000):
        os.write(1, b"%d\n" % number)


def slow() -> None:
    print("begun")
    time.sleep(3)


def chatty_child() -> int:
    return subprocess.Popen(["sh", "-c", "while true; do echo still; sleep 0.01; done"]).pid


def chatty_thread() -> None:
    def go_on() -> None:
        while True:
            print("still")
            time.sleep(0.001)

    threading.Thread(target=go_on, daemon=True).start()


def stuck_thread() -> None:
    threading.Thread(target=time.sleep, args=(60,)).start()


def test_whatever_writes_is_heard_before_the_result(rig) -> None:
    handler = logging.StreamHandler(sys.stderr)  # holds the driver's stream
    logging.getLogger("pool").addHandler(handler)
    r = rig(every_way)
    logging.getLogger("pool").removeHandler(handler)
    assert r.run("every_way").state is StepState.COMPLETED
    assert r.log.out("every_way").split() == ["descriptor", "child", "library", "print", "thread"]
    assert r.log.err("every_way").startswith("failure\n")
    assert "logged\n" in r.log.err("every_way")
    assert r.log.closed == [("every_way", 1)]


def test_what_is_printed_before_an_error_message_stands_before_it(rig, monkeypatch) -> None:
    r = rig(in_order)
    heard = []
    monkeypatch.setattr(r.log, "feed", lambda *told: heard.append(told[2:]))
    r.run("in_order")
    assert heard == [("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")]


def test_a_step_that_closes_or_replaces_its_streams_spoils_nothing(rig) -> None:
    r = rig(closes, replaces, detaches, says, slots=1)
    for spoiler in ("closes", "replaces", "detaches"):
        assert r.run(spoiler).state is StepState.COMPLETED
        assert r.run("says").state is StepState.COMPLETED
    assert r.log.out("closes") == "before\n"
    assert [r.log.out("says", attempt) for attempt in (1, 2, 3)] == ["said\n"] * 3
    assert [r.log.err("says", attempt) for attempt in (1, 2, 3)] == ["said so\n"] * 3
    assert len(r.pool._seats) == 1


def test_much_output_is_whole(rig) -> None:
    r = rig(long_line, many_lines, unbuffered)
    for name in ("long_line", "many_lines", "unbuffered"):
        r.launch(name)
    r.ended(3)
    assert r.log.out("long_line") == "y" * 10_000_000
    assert r.log.out("many_lines").split() == [str(number) for number in range(100_000)]
    assert r.log.out("unbuffered").split() == [str(number) for number in range(20_000)]


def test_a_quiet_step_is_heard_within_a_second(rig) -> None:
    r = rig(slow)
    task = r.launch("slow")
    assert r.pool.wait(1.0) == []
    assert r.log.out("slow") == "begun\n"
    r.pool.stop(task, now=True)
    r.ended()


def test_what_a_child_goes_on_to_write_is_nobody_elses_and_the_child_is_killed(rig, gone) -> None:
    r = rig(chatty_child, says, slots=1)
    result = r.run("chatty_child")
    assert result.state is StepState.COMPLETED
    for _ in range(5):
        r.run("says")
    assert {r.log.out("says", attempt) for attempt in range(1, 6)} == {"said\n"}
    assert gone(int(result.outputs["output"].inline))


def test_what_a_thread_goes_on_to_write_is_nobody_elses(rig) -> None:
    r = rig(chatty_thread, stuck_thread, says, slots=1)
    for leaver in ("chatty_thread", "stuck_thread"):
        assert r.run(leaver).state is StepState.COMPLETED
        time.sleep(0.02)
        r.run("says")
    assert {r.log.out("says", attempt) for attempt in (1, 2)} == {"said\n"}


def test_nothing_of_the_driver_is_written_twice(rig, capfd) -> None:
    print("mine", end="")  # held by the stream of the driver when it forks
    r = rig(says)
    r.run("says")
    sys.stdout.flush()
    assert capfd.readouterr().out == "mine"
