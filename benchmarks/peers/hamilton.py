"""Hamilton with its cache: `hamilton.py WORK FOLDER SEED`. Tried with 1.90."""

import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])

from hamilton import ad_hoc_utils, driver  # noqa: E402 - everything counts

if work == "import":
    raise SystemExit(0)


def built(text, *, cache=True):
    """Nodes are functions by name, so their source is written and compiled."""
    names = {}
    functions = []
    exec(compile(text, "<bench>", "exec"), names)  # noqa: S102 - our own text
    for name, thing in list(names.items()):
        if callable(thing) and not name.startswith("__"):
            functions.append(thing)
    import inspect
    import linecache

    linecache.cache["<bench>"] = (len(text), None, text.splitlines(keepends=True), "<bench>")
    assert inspect.getsource(functions[0])
    builder = driver.Builder().with_modules(ad_hoc_utils.create_temporary_module(*functions, module_name="bench_nodes"))
    return (builder.with_cache(path=folder) if cache else builder).build()


def chain(count):
    parts = ["def v0(seed: int) -> int:\n    return seed + 1\n"]
    parts += [f"def v{i}(v{i - 1}: int) -> int:\n    return v{i - 1} + 1\n" for i in range(1, count)]
    return "\n".join(parts)


if work == "hello":
    text = "def number(seed: int) -> int:\n    return seed\n\ndef doubled(number: int) -> int:\n    return 2 * number\n"
    built(text).execute(["doubled"], inputs={"seed": seed})
elif work == "chain":
    built(chain(100)).execute(["v99"], inputs={"seed": seed})
elif work == "compile":
    built(chain(5000), cache=False)
elif work == "array":
    text = (
        "import numpy as np\n\ndef a(seed: int) -> np.ndarray:\n"
        "    return np.arange(seed, seed + 25_000_000, dtype=np.float64)\n\n"
        "def total(a: np.ndarray) -> float:\n    return float(a.sum())\n"
    )
    built(text).execute(["total"], inputs={"seed": seed})
