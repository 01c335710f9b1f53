"""The process between a job and who reads its output: all of it when it is little, else beginning and newest; exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

HEAD = "import os, sys, time\nfrom core.pump import split\n"


def pumped(code: str, beginning: int = 1 << 20) -> subprocess.Popen[bytes]:
    text = f"{HEAD}parent = split({beginning})\n{code}"
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def is_there(pid: int) -> bool:
    """Whether it lives, or its parent has not asked for its end yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("code", "said", "ended"),
    [
        ("print('out', flush=True); print('error', file=sys.stderr); sys.exit(3)", b"out\nerror\n", 3),
        ("os.system('echo from a program'); os.kill(os.getpid(), 11)", b"from a program\n", 139),
        ("print('no end', end='', flush=True); os._exit(0)", b"no end", 0),
        ("os.close(1); os.close(2); time.sleep(0.1); os._exit(4)", b"", 4),
        ("os.system('exec >/dev/null 2>&1; sleep 3 &'); print('left', flush=True); os._exit(5)", b"left\n", 5),
    ],
)
def test_what_is_said_and_how_it_ends(code: str, said: bytes, ended: int) -> None:
    began = time.monotonic()
    process = pumped(code)
    assert process.communicate(timeout=15)[0] == said
    assert process.returncode == ended
    assert time.monotonic() - began < 10


def test_signals_are_handed_on() -> None:
    code = "import signal\nsignal.signal(15, lambda *_: (print('told', flush=True), os._exit(7)))\n"
    process = pumped(code + "print('up', flush=True)\ntime.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.terminate()
    assert process.communicate(timeout=15)[0] == b"told\n"
    assert process.returncode == 7


def test_a_signal_after_its_end_takes_nothing_of_what_it_said() -> None:
    """All of it waits for a slow reader by then."""
    process = pumped("os.write(1, b'%9d' % os.getpid() + b'x' * (8 << 20))\nos._exit(5)", beginning=16 << 20)
    assert process.stdout is not None
    whole = process.stdout.read(9)
    ends = time.monotonic() + 10
    while is_there(int(whole)):
        assert time.monotonic() < ends
        time.sleep(0.05)
    for _ in range(20):
        process.terminate()
        whole += process.stdout.read1(1 << 16)
    assert len(whole + process.communicate(timeout=15)[0]) == 9 + (8 << 20)
    assert process.returncode == 5


def test_of_much_the_beginning_and_the_newest_come() -> None:
    """The reader is slow; the job is not: it ends before its reader has half of it."""
    code = (
        "for n in range(300_000): sys.stdout.write('line %073d\\n' % n)\nsys.stdout.flush()\nos.write(2, b'over\\n')\n"
    )
    process = pumped(code + "os._exit(0)")
    assert process.stdout is not None
    whole = b""
    while data := process.stdout.read1(1 << 16):
        whole += data
        time.sleep(0.003)
    process.stdout.close()
    assert process.wait(15) == 0
    lines = whole.split(b"\n")
    assert lines[:2] == [b"line %073d" % 0, b"line %073d" % 1]
    assert lines[-3:] == [b"line %073d" % 299_999, b"over", b""]
    gaps = re.findall(rb"\n\.\.\. ([\d,]+) bytes left out \.\.\.\n", whole)
    lost = sum(int(gap.replace(b",", b"")) for gap in gaps)
    marks = sum(len(b"...  bytes left out ...\n") + len(gap) for gap in gaps)
    assert lost > 8 << 20
    assert len(whole) - marks + lost in {300_000 * 79 + 5, 300_000 * 79 + 5 + len(gaps)}
    assert all(len(line) in {0, 4, 78} or line.startswith(b"...") for line in lines[13_000:])
