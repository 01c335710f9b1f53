"""A program of its own: runs an engine, ends it when told to or when the tests' process is dead, and cleans up."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time


def main(order: dict[str, object]) -> None:
    """`order`: `command`, `log`, `owner` (the process with which it ends), `after` (commands that clean up)."""
    owner, command, after = order["owner"], order["command"], order["after"]
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(str(order["log"]), "ab") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # type: ignore[call-overload]
    while not told and engine.poll() is None and _alive(owner):  # type: ignore[arg-type]
        time.sleep(0.2)
    _end(engine)
    for words in after:  # type: ignore[attr-defined]
        subprocess.run(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _end(engine: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then make it."""
    engine.terminate()
    try:
        engine.wait(10)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
