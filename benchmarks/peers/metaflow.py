"""Metaflow with its local datastore: `metaflow.py WORK FOLDER SEED`.

A flow is a class in a file, run by that file's own command line, so the flow's text is written and run. It
compiles nothing ahead. `cached` is its usual run again: its `resume` wants the id of a failed run. Tried with 2.19.
"""

import os
import subprocess
import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])

HEAD = "from metaflow import FlowSpec, step\n\nclass Bench(FlowSpec):\n"
STEP = "    @step\n    def {name}(self):\n        {body}\n        {after}\n"


def flow(*bodies):
    names = ["start", *[f"s{i}" for i in range(1, len(bodies) - 1)], "end"]
    following = [f"self.next(self.{name})" for name in names[1:]] + ["pass"]
    steps = [STEP.format(name=n, body=b, after=a) for n, b, a in zip(names, bodies, following, strict=True)]
    return HEAD + "\n".join(steps) + "\nif __name__ == '__main__':\n    Bench()\n"


def run(text, *words):
    path = os.path.join(folder, "flow.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    settings = {
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": folder,
        "METAFLOW_USER": "bench",
        "USERNAME": "bench",
        "METAFLOW_HOME": folder,
    }
    command = [sys.executable, path, "--quiet", *words]
    raise SystemExit(subprocess.run(command, env=os.environ | settings, cwd=folder, check=False).returncode)


if work == "import":
    from metaflow import FlowSpec, step  # noqa: F401 - this is what is measured
elif work == "hello":
    run(flow(f"self.x = {seed}", "self.x = self.x * 2"), "run")
elif work == "chain":
    run(flow(f"self.x = {seed}", *["self.x = self.x + 1"] * 99), "run", "--max-workers", "1")
elif work == "array":
    make = f"import numpy as np; self.a = np.arange({seed}, {seed} + 25_000_000, dtype=np.float64)"
    run(flow(make, "self.t = float(self.a.sum())"), "run")
else:
    raise SystemExit(3)
