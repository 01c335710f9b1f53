"""Images: from changed code to a digest in the registry, files to a layer, and what a container costs a step."""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.engines import started
from benchmarks.harness import PYTHON, WORK, Bench, BenchmarkError, Figure, core_command, figure
from core.image.files import select
from core.image.layer import write_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.engines import Place

DOCKERFILE = "FROM {environment}\nCOPY . /app/\n"
PIPE = "tar c --sort=name --owner=0 --group=0 . | gzip -1 | sha256sum"


def change(bench: Bench) -> list[Figure]:
    """One line of 1 MB of code changes: until the registry has it, against `docker build` and `docker push`."""
    with started(bench) as place:
        _code(place.folder, 100, bench.size(1_000_000, 100_000))
        place.call(*core_command(), "pipeline", "build", "flow.py:flow")
        environment = _environment(place)
        ours: list[Mapping[str, Any]] = []
        theirs = []
        again = []
        for number in range(1, bench.runs + 2):
            place.change(number)
            ours.append(json.loads(place.call(PYTHON, WORK / "imaging.py")))
            theirs.append(_docker(place, environment, number))
            again.append(json.loads(place.call(PYTHON, WORK / "imaging.py")))
        seconds = [one["seconds"] for one in ours[1:]]
        against = "docker build and docker push"
        name = "1 MB of code on 54 MB packed, one line changed"
        return [
            figure(f"{name}: until it is pushed", seconds, theirs[1:], "s wall", against=against, budget=0.5),
            Figure(f"{name}: seconds", median(seconds), "s wall", measure="value", budget=1.0),
            Figure(f"{name}: HTTP calls", max(one["calls"] for one in ours), "", measure="value", budget=14),
            Figure(
                "the same code again: HTTP calls", max(one["calls"] for one in again), "", measure="value", budget=4
            ),
            Figure("the same code again: bytes sent", max(one["sent"] for one in again), "", measure="value", budget=0),
            Figure("the same code again: seconds", median(one["seconds"] for one in again), "s wall"),
        ]


def _code(folder: Path, files: int, size: int) -> None:
    """Text that packs as code does, `size` bytes in all."""
    words = random.Random(1)  # noqa: S311 - only text
    vocabulary = ["".join(words.choices("abcdefghijklmnopqrstuvwxyz_", k=words.randint(2, 12))) for _ in range(3000)]
    for number in range(files):
        path = folder / f"package{number // 100}" / f"module{number}.py"
        path.parent.mkdir(exist_ok=True)
        text = "\n".join(" ".join(words.choices(vocabulary, k=10)) for _ in range(size // files // 40))
        path.write_text(text[: size // files])


def _environment(place: Place) -> str:
    """The environment image that core built, by its tag."""
    for line in place.call(place.client, "images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if ":env-" in line:
            return line
    raise BenchmarkError("the engine has no environment image")


def _docker(place: Place, environment: str, number: int) -> float:
    """Seconds for docker's own way, from the same files."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "Dockerfile")
        file.write_text(DOCKERFILE.format(environment=environment))
        name = f"{place.registry}/docker/work:{number}"
        began = time.perf_counter()
        place.call(place.client, "build", "-q", "-f", file, "-t", name, ".")
        place.call(place.client, "push", "-q", name)
        return time.perf_counter() - began


def layer(bench: Bench) -> list[Figure]:
    """10,000 files, 100 MB: chosen, packed and hashed, against tar, gzip and sha256sum of the same tree."""
    folder = bench.folder / "tree"
    folder.mkdir()
    files, size = bench.size(10_000, 500), bench.size(100_000_000, 5_000_000)
    _code(folder, files, size)
    ours, theirs = [], []
    for _ in range(bench.runs + 1):
        began = time.perf_counter()
        with closing(tempfile.TemporaryFile(dir=bench.folder)) as out:
            write_layer(select(str(folder)).files, "app", out)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        subprocess.run(PIPE, shell=True, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S602
        theirs.append(time.perf_counter() - began)
    name = f"{files:,} files, {size / 1e6:.0f} MB to a layer"
    return [figure(name, ours[1:], theirs[1:], "s wall", against="tar | gzip -1 | sha256sum", budget=1.3)]


def containers(bench: Bench) -> list[Figure]:
    """A step in a container, against `docker run` of the same image that imports the same code."""
    with started(bench) as place:
        core = [*core_command(), "run", "flow.py:flow"]
        image = json.loads(place.call(*core_command(), "pipeline", "build", "flow.py:flow", "-o", "json"))
        reference = image["images"][0]["reference"]
        docker = [place.client, "run", "--rm", "--init", reference, "python", "-c", "import flow"]
        steps = bench.size(4, 2)
        ours, theirs = [], []
        for _ in range(bench.runs + 1):
            events = _run(place, *core, "-p", f"count={steps}")
            ours.append((events["end"] - events["started"]) / steps)
            began = time.perf_counter()
            for _ in range(steps):
                place.call(*docker)
            theirs.append((time.perf_counter() - began) / steps)
        return [figure("a step in a container", ours[1:], theirs[1:], "s wall", against="docker run", budget=1.3)]


PARTS = (
    ("Python, imports, compile, plan, stack", "command", "images"),
    ("image: found or made", "images", "started"),
    ("container made and started", "started", "launched"),
    ("Python and core in the container, inputs", "launched", "step"),
)


def enter(bench: Bench) -> list[Figure]:
    """From the command after a one-line change to the first step's own code, and its parts."""
    with started(bench) as place:
        _code(place.folder, 100, bench.size(1_000_000, 100_000))
        core = [*core_command(), "run", "flow.py:flow"]
        runs = []
        for number in range(1, bench.runs + 2):
            place.change(number)
            runs.append(_run(place, *core))
        runs = runs[1:]
        whole = [run["step"] - run["command"] for run in runs]
        found = [Figure("from enter to the first step's start", median(whole), "s wall", measure="value", budget=3.0)]
        for name, begin, end in PARTS:
            found.append(Figure(f"  of it: {name}", median(run[end] - run[begin] for run in runs), "s wall"))
        return found


def _run(place: Place, *command: object) -> dict[str, float]:
    """Seconds since 1970 of what happened in a run."""
    began = time.time()
    run = place.call(*command).split()[-1]
    events = json.loads(place.call(PYTHON, WORK / "happened.py", run))
    return {"command": began, **events}
