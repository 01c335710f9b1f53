"""What is no time but a number all the same: frames from the call to a step's body, modules that a hello imports."""

from __future__ import annotations

from benchmarks.harness import PYTHON, WORK, Bench, Figure, cost


def frames(bench: Bench) -> list[Figure]:
    """Frames of ours between the pipeline's call and the step's function, their modules, and modules entered again."""
    found = cost(bench, [PYTHON, WORK / "frames.py"], home=bench.home(), report=True).said
    road = [module for module, _ in found if module.partition(".")[0] == "core"]
    visits = [module for index, module in enumerate(road) if index == 0 or road[index - 1] != module]
    note = " > ".join(f"{module}:{function}" for module, function in found)
    return [
        Figure("frames to a step", len(road), "frames", measure="value", budget=8, moonshot=6, note=note),
        Figure("modules to a step", len(set(road)), "modules", measure="value", budget=6),
        Figure("modules entered again", len(visits) - len(set(visits)), "modules", measure="value", budget=0),
    ]


def modules(bench: Bench) -> list[Figure]:
    """Modules that a hello has no use for."""
    said = cost(bench, [PYTHON, WORK / "imported.py", 1], home=bench.home(), report=True).said
    note = f"{said['count']} modules imported; of the heavy ones: {', '.join(said['found']) or 'none'}"
    return [Figure("heavy modules of hello", len(said["found"]), "modules", measure="value", budget=0, note=note)]
