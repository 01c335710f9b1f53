"""Starts one command, waits for it, and writes what it cost: `launch.py REPORT STDOUT STDERR COMMAND...`.

A process of its own because the kernel counts the memory of whoever starts a process into that process's peak: the
harness is large, this is not (run it with `python -I -S`). Standard library's smallest part only.
"""

import os
import sys
import time

report, stdout, stderr, *command = sys.argv[1:]
WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND
actions = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, stdout, WRITE, 0o600),
    (os.POSIX_SPAWN_OPEN, 2, stderr, WRITE, 0o600),
]
began = time.perf_counter()
pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - began
with open(report, "w", encoding="ascii") as file:
    file.write(f"{os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime!r} {wall!r} {used.ru_maxrss}")
