"""Fingerprints of functions: what counts, what does not, and where it is said to stand."""

from __future__ import annotations

import asyncio
import importlib
import linecache
import os
import subprocess
import sys
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from core.digest.code import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.digest.code import CodeFingerprint

_folders = count()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Writes files of a project to a fresh folder and imports its module `flow`."""

    def write(flow: str = "", **files: str) -> ModuleType:
        root = tmp_path / str(next(_folders))
        files["flow"] = flow
        for name in files:
            sys.modules.pop(name.replace("__", "."), None)
            sys.modules.pop(name.partition("__")[0], None)
        for name, text in files.items():
            path = root.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent != root:
                (path.parent / "__init__.py").touch()
            path.write_text(text)
        monkeypatch.setattr(sys, "path", [str(root), *sys.path])
        importlib.invalidate_caches()
        return importlib.import_module("flow")

    return write


def changed(old: CodeFingerprint, new: CodeFingerprint) -> set[str]:
    """Names of the parts that differ."""
    return {name for name in {*old.parts, *new.parts} if old.parts.get(name, "?")[0] != new.parts.get(name, "?")[0]}


BASE = """
import util
from util import helper
RATE = 0.5
def step(x: int = 1):
    # a comment
    return helper(x) * RATE + util.other(x) + "text".count('t')
"""
UTIL = """
LIMIT = 3
def helper(x): return deeper(x)
def deeper(x):
    return x + LIMIT
def other(x): return x
def unused(x): return x
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("# a comment", '"""A docstring."""'), ("    # a comment\n", "\n\n"), ("'t'", '"t"'), ("x: int = 1", "x:int=1"),
     ("helper(x) * RATE", "(helper(x)  *  RATE)"), ("def step", "@(lambda f: f)\ndef step")],
)  # fmt: skip
def test_comments_formatting_docstrings_and_decorators_do_not_count(
    load: Callable[..., ModuleType], old: str, new: str
) -> None:
    before = fingerprint(load(BASE, util=UTIL).step)
    after = fingerprint(load(BASE.replace(old, new), util=UTIL).step)
    assert before.digest == after.digest


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [("x + LIMIT", "x - LIMIT", "util:deeper"), ("LIMIT = 3", "LIMIT = 3.0", "util:LIMIT"), ("other(x): return x", "other(x): return -x", "util:other"),
     ("LIMIT = 3", "LIMIT = int('4')", "util:LIMIT")],
)  # fmt: skip
def test_what_is_reached_counts_wherever_it_stands(
    load: Callable[..., ModuleType], old: str, new: str, part: str
) -> None:
    before = fingerprint(load(BASE, util=UTIL).step)
    after = fingerprint(load(BASE, util=UTIL.replace(old, new)).step)
    assert changed(before, after) == {part}
    assert before.digest != after.digest


def test_what_is_not_reached_does_not_count(load: Callable[..., ModuleType]) -> None:
    before = fingerprint(load(BASE, util=UTIL).step)
    after = fingerprint(load(BASE + "\nX = 1\n", util=UTIL.replace("unused(x): return x", "unused(y): return 2")).step)
    assert before.digest == after.digest


def test_places_name_file_and_line(load: Callable[..., ModuleType]) -> None:
    parts = fingerprint(load(BASE, util=UTIL).step).parts
    places = {name: place for name, (_, place) in parts.items()}
    assert places == {
        "flow:step": "flow.py:5",
        "flow:RATE": "flow.py:4",
        "util:helper": "util.py:3",
        "util:deeper": "util.py:4",
        "util:LIMIT": "util.py:2",
        "util:other": "util.py:6",
    }


CASES = {
    "closure": ("def make(n):\n    def step(): return n\n    return step\nstep = make(1)", "make(1)", "make(2)"),
    "closure over a function": (
        "def a(): return 1\ndef make(f):\n    def step(): return f()\n    return step\nstep = make(a)",
        "return 1",
        "return 2",
    ),
    "default": ("N = 1\ndef step(x=N): return x", "N = 1", "N = 2"),
    "keyword default": ("def one(): return 1\ndef step(*, f=one): return f()", "return 1", "return 2"),
    "partial": (
        "from functools import partial\ndef f(a): return a\ng = partial(f, 1)\ndef step(): return g()",
        "f, 1",
        "f, 2",
    ),
    "function in partial": (
        "from functools import partial\ndef f(a): return 7\ng = partial(f, 1)\ndef step(): return g()",
        "7",
        "8",
    ),
    "wraps": (
        (
            "from functools import wraps\ndef deco(f):\n    @wraps(f)\n    def wrapper(): return f()\n    return wrapper\n"
            "@deco\ndef g(): return 7\ndef step(): return g()"
        ),
        "return 7",
        "return 8",
    ),
    "wrapper's own code": (
        (
            "from functools import wraps\ndef deco(f):\n    @wraps(f)\n    def wrapper(): return f() + 7\n    return wrapper\n"
            "@deco\ndef step(): return 1"
        ),
        "+ 7",
        "+ 8",
    ),
    "decorator's argument": (
        (
            "def times(n):\n    def deco(f):\n        def wrapper(): return f() * n\n        return wrapper\n    return deco\n"
            "@times(3)\ndef g(): return 1\ndef step(): return g()"
        ),
        "times(3)",
        "times(4)",
    ),
    "lru_cache": ("from functools import lru_cache\n@lru_cache\ndef g(): return 7\ndef step(): return g()", "7", "8"),
    "method": ("class A:\n    def f(self): return 7\ndef step(): return A().f()", "7", "8"),
    "method's helper": (
        "def h(): return 7\nclass A:\n    def f(self): return h()\ndef step(): return A().f()",
        "7",
        "8",
    ),
    "class by annotation": ("class A:\n    def f(self): return 7\ndef step(a: A): return a.f()", "7", "8"),
    "class by text annotation": (
        "from __future__ import annotations\nclass A:\n    def f(self): return 7\ndef step(a: A): return a.f()",
        "7",
        "8",
    ),
    "base class": ("class B:\n    def f(self): return 7\nclass A(B): pass\ndef step(): return A().f()", "7", "8"),
    "metaclass": (
        "class M(type):\n    def f(cls): return 7\nclass A(metaclass=M): pass\ndef step(): return A.f()",
        "7",
        "8",
    ),
    "metaclass argument": (
        "class B:\n    def __init_subclass__(cls, n): cls.n = n\nclass A(B, n=7): pass\ndef step(): return A.n",
        "n=7",
        "n=8",
    ),
    "class attribute": ("N = 7\nclass A:\n    n = N\ndef step(): return A.n", "N = 7", "N = 8"),
    "attribute set later": ("class A: pass\nA.n = 7\ndef step(): return A.n", "7", "8"),
    "method set later": ("class A: pass\ndef g(self): return 7\nA.g = g\ndef step(): return A().g()", "7", "8"),
    "property": ("class A:\n    @property\n    def f(self): return 7\ndef step(): return A().f", "7", "8"),
    "staticmethod": ("class A:\n    @staticmethod\n    def f(): return 7\ndef step(): return A.f()", "7", "8"),
    "kind of method": (
        "class A:\n    @staticmethod\n    def f(*a): return 7\ndef step(): return A.f()",
        "static",
        "class",
    ),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass C:\n    n: int\nC1 = C(7)\ndef step(): return C1.n",
        "C(7)",
        "C(8)",
    ),
    "dataclass's decorator": (
        "from dataclasses import dataclass\n@dataclass(order=True)\nclass C:\n    n: int\ndef step(): return C(1) < C(2)",
        "order=True",
        "order=False",
    ),
    "enum": ("from enum import Enum\nclass E(Enum):\n    A = 7\ndef step(): return E.A.value", "7", "8"),
    "enum member": (
        "from enum import Enum\nclass E(Enum):\n    A = 1\n    B = 2\nM = E.A\ndef step(): return M",
        "E.A",
        "E.B",
    ),
    "path": ("from pathlib import Path\nP = Path('a')\ndef step(): return P", "'a'", "'b'"),
    "pattern": ("import re\nP = re.compile('a')\ndef step(): return P", "'a'", "'b'"),
    "pattern's flags": ("import re\nP = re.compile('a', re.I)\ndef step(): return P", "re.I", "re.M"),
    "date": ("from datetime import date\nD = date(2020, 1, 1)\ndef step(): return D", "2020", "2021"),
    "registry": ("def f(): return 7\nR = {'f': f, 'n': [1]}\ndef step(): return R['f']()", "7", "8"),
    "set": (
        "from enum import Enum\nclass E(Enum):\n    A = 1\n    B = 2\nS = {E.A, 'x'}\ndef step(): return S",
        "E.A",
        "E.B",
    ),
    "int keys": ("D = {1: 'a'}\ndef step(): return D", "1:", "2:"),
    "nested function": ("def h(): return 7\ndef step():\n    def inner(): return h()\n    return inner()", "7", "8"),
    "comprehension": ("def h(i): return 7\ndef step(): return [h(i) for i in range(3)]", "7", "8"),
    "async": ("async def step():\n    return 7", "7", "8"),
    "lambda": ("step = lambda: 7", "7", "8"),
    "second lambda of a line": ("fs = [lambda: 1, lambda: 7]\nstep = fs[1]", "7", "8"),
    "alias": ("import math\nf = math.sin\ndef step(): return f(1)", "math.sin", "math.cos"),
    "generic alias": ("class A:\n    n = 7\nT = list[A]\ndef step(x: T): return x", "7", "8"),
    "recursion": (
        "def odd(n): return even(n - 7)\ndef even(n): return odd(n - 1)\ndef step(): return even(4)",
        "7",
        "8",
    ),
    "bound method": ("class A:\n    def f(self): return 7\nf = A().f\ndef step(): return f()", "7", "8"),
    "branch": ("import sys\nif sys:\n    def step(): return 7\nelse:\n    def step(): return 0", "7", "8"),
    "huge number": (f"def step(): return 0x1{'0' * 5000}", "0x1", "0x2"),
    "frozen set in code": ("def step(x): return x in {7, 'a', 'b'}", "7", "8"),
    "super": (
        "class B:\n    def f(self): return 7\nclass A(B):\n    def f(self): return super().f()\ndef step(): return A().f()",
        "7",
        "8",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_counts(load: Callable[..., ModuleType], name: str) -> None:
    text, old, new = CASES[name]
    assert text.count(old) >= 1
    one, again, other = (fingerprint(load(t).step) for t in (text, "# moved\n\n" + text, text.replace(old, new)))
    assert one.digest == again.digest
    assert one.digest != other.digest


def test_a_package_of_several_files(load: Callable[..., ModuleType]) -> None:
    flow = "import lib.tools\nfrom lib import data as d\ndef step(): return lib.tools.f() + d.N"
    old = fingerprint(load(flow, lib__tools="def f(): return 1", lib__data="N = 1").step)
    new = fingerprint(load(flow, lib__tools="def f(): return 2", lib__data="N = 2").step)
    assert changed(old, new) == {"lib.tools:f", "lib.data:N"}


def test_an_import_inside_a_function_counts_as_a_whole_file_loaded_or_not(load: Callable[..., ModuleType]) -> None:
    flow = "def step():\n    from lib import tools\n    return tools.f()"
    files = {"lib__tools": "from .more import g\ndef f(): return g()", "lib__more": "def g(): return 1"}
    module = load(flow, **files)
    old = fingerprint(module.step)
    assert {"lib.tools:", "lib.more:"} < set(old.parts)
    module.step()
    assert fingerprint(module.step) == old
    files["lib__more"] = "def g(): return 2"
    assert changed(old, fingerprint(load(flow, **files).step)) == {"lib.more:"}


def test_libraries_and_core_count_by_name_only(load: Callable[..., ModuleType]) -> None:
    text = "import json, yaml\nfrom core import step as s\nfrom yaml import safe_load\n@s\ndef step(): return safe_load(json.dumps(1))"
    assert set(fingerprint(load(text).step).parts) == {"flow:step"}


def test_a_step_reached_counts_through_its_function(load: Callable[..., ModuleType]) -> None:
    text = "from core import step as s\n@s(cache=True)\ndef other(): return 7\ndef step(): return other()"
    one = fingerprint(load(text).step)
    assert fingerprint(load(text.replace("cache=True", "cache=False")).step).digest == one.digest
    assert changed(one, fingerprint(load(text.replace("7", "8")).step)) == {"flow:other"}


def test_opaque_values_count_by_type_and_by_what_sets_them(load: Callable[..., ModuleType]) -> None:
    text = "from queue import Queue\nN = 7\nNET = {'a': Queue(N)}\nNET['a'].put(0)\ndef step(): return NET"
    one = fingerprint(load(text).step)
    assert fingerprint(load("\n" + text).step).digest == one.digest
    assert changed(one, fingerprint(load(text.replace("Queue(N)", "Queue(N + 1)")).step)) == {"flow:NET"}
    assert changed(one, fingerprint(load(text.replace("put(0)", "put(1)")).step)) == {"flow:NET"}
    assert changed(one, fingerprint(load(text.replace("N = 7", "N = 8")).step)) == {"flow:N"}


CLS = "class Net:\n    def __init__(self, n): self.n = n\n"
STATE = {
    "an instance": CLS + "NET = Net(7)\ndef step(): return NET.n",
    "an attribute set later": CLS + "NET = Net(0)\nNET.n = 7\ndef step(): return NET.n",
    "an instance in a container": CLS + "NET = {}\nNET['a'] = Net(7)\ndef step(): return NET['a'].n",
    "an instance in a closure": CLS
    + "def make(net):\n    def step(): return net.n\n    return step\nstep = make(Net(7))",
    "slots": "class Net:\n    __slots__ = 'n'\nNET = Net()\nNET.n = 7\ndef step(): return NET.n",
    "a namespace": "from types import SimpleNamespace\nNET = SimpleNamespace(n=7)\ndef step(): return NET.n",
    "a namespace of argparse": "import argparse\nNET = argparse.Namespace()\nNET.n = 7\ndef step(): return NET.n",
    "which of two": CLS + "A, B = Net(1), Net(1)\nNET = [A, B, [A, B][7 % 2]]\ndef step(): return NET[2]",
    "a decorator that is a class": (
        "from functools import update_wrapper\nclass By:\n    def __init__(self, f, k):\n        self.k = k\n"
        "        update_wrapper(self, f)\n    def __call__(self): return self.k\n"
        "def one(): return 1\nstep = By(one, 7)"
    ),
    "one that is a class, its code": (
        "from functools import update_wrapper\nclass By:\n    def __init__(self, f): update_wrapper(self, f)\n"
        "    def __call__(self): return 7\n@By\ndef step(): return 1"
    ),
    "singledispatch": (
        "from functools import singledispatch\n@singledispatch\ndef f(x): return 0\n"
        "@f.register\ndef _(x: int): return 7\ndef step(): return f(1)"
    ),
}


@pytest.mark.parametrize("name", STATE)
def test_the_state_of_the_projects_own_objects_counts(load: Callable[..., ModuleType], name: str) -> None:
    one, again, other = (
        fingerprint(load(t).step).digest for t in (STATE[name], STATE[name], STATE[name].replace("7", "8"))
    )
    assert one == again
    assert one != other


def test_a_package_beside_the_root_counts_unless_installed(
    load: Callable[..., ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for folder, value in (("lib", 1), ("lib", 2), ("venv/site-packages", 1), ("venv/site-packages", 2)):
        home = tmp_path / f"{next(_folders)}" / folder
        home.mkdir(parents=True)
        (home / "beside.py").write_text(f"def f(): return {value}\n")
        monkeypatch.syspath_prepend(str(home))
        sys.modules.pop("beside", None)
        found.append(fingerprint(load("import beside\ndef step(): return beside.f()").step))
    assert changed(found[0], found[1]) == {"beside:f"}
    assert found[2] == found[3]


def test_what_a_librarys_wrapper_holds_counts(
    load: Callable[..., ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "wrapping.py").write_text("def by(f):\n    def call(): return f()\n    return call\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    text = "import wrapping\ndef inner(): return 7\nouter = wrapping.by(inner)\ndef step(): return outer()"
    one, other = (fingerprint(load(t).step) for t in (text, text.replace("7", "8")))
    assert changed(one, other) == {"flow:inner"}


def test_opaque_state_does_not_count(load: Callable[..., ModuleType]) -> None:
    module = load("import threading\nLOCK = threading.RLock()\ndef step(): return LOCK")
    one = fingerprint(module.step)
    with module.LOCK:
        assert fingerprint(module.step) == one


def test_what_hangs_together_in_circles_ends(load: Callable[..., ModuleType]) -> None:
    text = "class Net: pass\nNET = Net()\nBOX = [NET, 7]\nBOX.append(BOX)\nOTHER = Net() if BOX else 1\nBOX = OTHER and BOX\ndef step(): return BOX"
    one, other = (fingerprint(load(t).step) for t in (text, text.replace("7", "8")))
    assert changed(one, other) == {"flow:BOX"}


def test_a_notebook_cell_counts_by_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def cell(text: str) -> CodeFingerprint:
        name = f"<cell {next(_folders)}>"
        monkeypatch.setitem(linecache.cache, name, (len(text), None, text.splitlines(keepends=True), name))
        space: dict[str, object] = {"__name__": "__main__"}
        exec(compile(text, name, "exec"), space)  # noqa: S102 - what a notebook does
        return fingerprint(space["step"])

    text = "def step():\n    def inner():\n        'doc'\n        return 1\n    return inner()\n"
    assert cell(text).digest == cell("# more\n" + text.replace("doc", "other")).digest
    assert cell(text).digest != cell(text.replace("1", "2")).digest


def test_an_installed_pipeline_leaves_its_neighbours_out(
    load: Callable[..., ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"site-packages__mine__a": "import mine.b, other.c\ndef step(): return mine.b.f() + other.c.f()"}
    files |= {"site-packages__mine__b": "def f(): return 1", "site-packages__other__c": "def f(): return 1"}
    for name in ("mine.a", "mine.b", "mine", "other.c", "other"):
        sys.modules.pop(name, None)
    load("", **files)
    site = next(tmp_path.glob("*/site-packages"))
    (site / "__init__.py").unlink(missing_ok=True)
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    assert set(fingerprint(importlib.import_module("mine.a").step).parts) == {"mine.a:step", "mine.b:f"}


def test_a_numpy_array_counts_by_value(load: Callable[..., ModuleType]) -> None:
    text = "import numpy as np\nA = np.array([1, 2])\ndef step(): return A"
    one = fingerprint(load(text).step)
    assert changed(one, fingerprint(load(text.replace("2", "3")).step)) == {"flow:A"}
    assert fingerprint(load(text.replace("np.array([1, 2])", "np.arange(1, 3)")).step).digest == one.digest


def test_local_names_are_not_mistaken_for_globals(load: Callable[..., ModuleType]) -> None:
    text = "x = i = 1\ndef step(x): return [i + x for i in range(3)]"
    assert set(fingerprint(load(text).step).parts) == {"flow:step"}


def test_two_functions_of_one_name_are_two_parts(load: Callable[..., ModuleType]) -> None:
    text = "def f(): return 1\ng = f\ndef f(): return 2\ndef step(): return f() + g()"
    assert {"flow:f", "flow:f#2"} < set(fingerprint(load(text).step).parts)


def test_a_constant_changed_meanwhile_is_seen(load: Callable[..., ModuleType]) -> None:
    module = load("N = 1\ndef step(): return N")
    old = fingerprint(module.step)
    module.N = 2
    assert changed(old, fingerprint(module.step)) == {"flow:N"}


def test_an_edit_after_the_import_does_not_count_as_loaded(load: Callable[..., ModuleType]) -> None:
    text = "def step():\n    return 1\n"
    module = load(text)
    with open(module.__file__ or "", "w") as file:
        file.write(text.replace("1", "2"))
    edited = fingerprint(module.step)
    other = load(text.replace("1", "2"))
    assert edited.digest != fingerprint(other.step).digest
    assert edited.parts["flow:step"][1] == "flow.py:1"


def test_without_source_the_bytecode_counts() -> None:
    def made(text: str) -> CodeFingerprint:
        space: dict[str, object] = {"__name__": "nowhere"}
        exec(text, space)  # noqa: S102 - what a prompt does
        return fingerprint(space["step"])

    text = "def h(): return 1\nclass A:\n    def f(self): return 3\ndef step():\n    'doc'\n    return h() + A().f()"
    one = made(text)
    assert set(one.parts) == {"nowhere:step", "nowhere:h", "nowhere:A"}
    assert made("\n\n" + text.replace("doc", "other")).digest == one.digest
    assert made(text.replace("1", "2")).digest != one.digest
    assert made(text.replace("3", "4")).digest != one.digest


def test_asynchronous_steps_keep_working(load: Callable[..., ModuleType]) -> None:
    step = load("async def step(): return 3").step
    assert fingerprint(step).digest
    assert asyncio.run(step()) == 3


def test_the_same_in_every_process_and_as_main(load: Callable[..., ModuleType]) -> None:
    text = (
        BASE
        + "from enum import Enum\nclass E(Enum):\n    A = 1\n    B = 2\nS = frozenset(E) | {'a', 'b'}\ndef f(x): return x in S\n"
    )
    module = load(text + "step.f = f\ndef both(): return step(), f(1), {'a', 'b', 'c'}\n" + SHOW, util=UTIL)
    path = module.__file__ or ""
    seen = {fingerprint(module.both).digest}
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, path], env=environment, check=True, capture_output=True, text=True)
        seen.add(done.stdout.strip())
    assert len(seen) == 1


SHOW = "if __name__ == '__main__':\n    from core.digest.code import fingerprint\n    print(fingerprint(both).digest)\n"
