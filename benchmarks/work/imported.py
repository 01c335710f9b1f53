"""Prints which of the modules that a local run has no use for were imported by a hello: `imported.py SEED`."""

import json
import sys

before = set(sys.modules)

import hello  # noqa: E402 - what Python itself imported is not ours

FORBIDDEN = (
    *("pydantic", "fsspec", "pluggy", "rich", "asyncio", "importlib.metadata", "cloudpickle", "logging", "tempfile"),
    *("traceback", "numpy", "sqlalchemy", "click", "yaml", "dataclasses"),
    *("core.pool", "socket", "selectors", "multiprocessing"),  # a run without workers is one process
)

hello.hello(int(sys.argv[1]))
print(
    json.dumps({"found": sorted(set(FORBIDDEN) & (set(sys.modules) - before)), "count": len(set(sys.modules) - before)})
)
