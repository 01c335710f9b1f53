"""doit, in process through its API: `doit.py WORK FOLDER SEED`. Tried with 0.37.

It hands no values on but small ones of its own database, so the array goes through a file that the tasks save and load.
"""

import sys

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from doit.tools import run_once

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
CONFIG = {"dep_file": f"{folder}/doit.db", "verbosity": 0, "reporter": "error-only"}


def value(x):
    return {"value": x}


def inc(x):
    return {"value": x + 1}


def chain(count):
    yield {"basename": "t0", "actions": [(inc, [seed])], "uptodate": [run_once]}
    for index in range(1, count):
        yield {
            "basename": f"t{index}",
            "actions": [inc],
            "getargs": {"x": (f"t{index - 1}", "value")},
            "task_dep": [f"t{index - 1}"],
            "uptodate": [run_once],
        }


def hello():
    yield {"basename": "number", "actions": [(value, [seed])]}
    yield {"basename": "double", "actions": [lambda x: {"value": 2 * x}], "getargs": {"x": ("number", "value")}}


def make():
    import numpy as np

    np.save(f"{folder}/a.npy", np.arange(seed, seed + 25_000_000, dtype=np.float64))


def total():
    import numpy as np

    return {"value": float(np.load(f"{folder}/a.npy").sum())}


def array():
    yield {"basename": "make", "actions": [make], "targets": [f"{folder}/a.npy"]}
    yield {"basename": "total", "actions": [total], "file_dep": [f"{folder}/a.npy"]}


def run(tasks, *command):
    names = {"DOIT_CONFIG": CONFIG, "task_all": lambda: tasks}
    code = DoitMain(ModuleTaskLoader(names)).run(list(command) or ["run"])
    if code:
        raise SystemExit(code)


if work == "hello":
    run(hello())
elif work == "chain":
    run(chain(100))
elif work == "compile":
    loader = ModuleTaskLoader({"task_all": lambda: chain(5000), "DOIT_CONFIG": CONFIG})
    from doit.control import TaskControl
    from doit.loader import load_tasks

    TaskControl(load_tasks(loader.namespace))
elif work == "array":
    run(array())
