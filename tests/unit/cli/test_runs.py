"""Runs from the command line: run, plan, list, show, logs, diff, delete; and what they made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def ran(core: Core, *words: str) -> str:
    """Run the pipeline and give the run's id."""
    done = core("run", "train.py:training", *words)
    assert done.code == 0, done.err
    return done.out.splitlines()[-1]


def data(core: Core, *words: str) -> Any:
    """What a command prints as JSON."""
    done = core(*words, "-o", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def states(core: Core, run: str) -> dict[str, str]:
    """Steps of a run and their states."""
    return {step["name"]: step["state"] for step in data(core, "runs", "show", run)["steps"]}


def test_a_run_and_its_json(core: Core) -> None:
    run = ran(core, "-p", "scale=2", "-p", "rows=4")
    (row,) = data(core, "runs", "list")
    assert row["id"] == run
    assert {"id", "pipeline", "state", "started_at", "ended_at", "stack"} <= set(row)
    assert (row["pipeline"], row["state"], row["stack"]) == ("training", "completed", "default")
    assert ISO.fullmatch(row["started_at"])
    assert ISO.fullmatch(row["ended_at"])
    shown = data(core, "runs", "show", "latest")
    assert {key: shown[key] for key in ("id", "state", "started_at", "ended_at")} == {
        key: row[key] for key in ("id", "state", "started_at", "ended_at")
    }
    assert shown["parameters"] == {"rows": 4, "scale": 2.0}
    load, total = shown["steps"]
    assert {"name", "state", "reason", "attempts", "outputs"} <= set(load)
    assert (total["name"], total["state"], list(total["outputs"])) == ("total", "completed", ["sum"])
    assert total["metadata"] == {"scale": 2.0}


def test_run_prints_its_json(core: Core) -> None:
    done = core("run", "train.py:training", "-o", "json")
    assert done.code == 0
    assert json.loads(done.out)["state"] == "completed"
    assert "loading 3" in done.err


def test_reuse_and_every_way_to_do_without(core: Core) -> None:
    ran(core)
    assert states(core, ran(core)) == {"load": "reused", "total": "reused"}
    assert states(core, ran(core, "--no-cache", "load")) == {"load": "completed", "total": "reused"}
    assert states(core, ran(core, "--no_cache")) == {"load": "completed", "total": "completed"}
    assert states(core, ran(core, "--set", "cache=off")) == {"load": "completed", "total": "completed"}
    done = core("run", "--no-cache", "train.py:training")
    assert states(core, done.out.splitlines()[-1]) == {"load": "completed", "total": "completed"}


def test_a_dry_run_tells_why_and_runs_nothing(core: Core) -> None:
    plan = data(core, "run", "train.py:training", "--dry-run")
    assert [step["action"] for step in plan["steps"]] == ["run", "run"]
    assert plan["steps"][0]["reason"] == "never ran"
    assert data(core, "runs", "list") == []
    ran(core)
    plan = data(core, "run", "train.py:training", "--dry-run", "-p", "scale=3")
    assert [step["action"] for step in plan["steps"]] == ["reuse", "run"]
    assert "scale 1.0 -> 3.0" in plan["steps"][1]["reason"]
    assert "nothing ran" in core("run", "train.py:training", "--dry-run").err


def test_a_configuration_file(core: Core, project: Path) -> None:
    text = "parameters: {scale: 5, rows: 2}\nno_cache: [load]\ntags: [mine]\nsteps:\n  total: {cache: false}\n"
    (project / "run.yaml").write_text(text, encoding="utf-8")
    shown = data(core, "runs", "show", ran(core, "--config", "run.yaml", "-p", "rows=3", "--tag", "more"))
    assert shown["parameters"] == {"rows": 3, "scale": 5.0}
    assert shown["tags"] == ["mine", "more"]
    (project / "run.yaml").write_text("parameter: {}\n", encoding="utf-8")
    done = core("run", "train.py", "--config", "run.yaml")
    assert done.code == 6
    assert "run.yaml:1: " in done.err


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["-p", "scal=2"], 2, "scal"),
        (["-p", "scale=much"], 2, "scale"),
        (["-p", "scale"], 2, "write -p NAME=VALUE"),
        (["-p", "scale=1", "-p", "scale=2"], 2, "given twice"),
        (["--stack", "cloud"], 3, "'cloud'"),
        (["--no-cache", "laod"], 2, "did you mean 'load'"),
    ],
)
def test_what_is_refused_before_anything_runs(core: Core, words: list[str], code: int, part: str) -> None:
    done = core("run", "train.py:training", *words)
    assert done.code == code, done
    assert part in done.err
    assert data(core, "runs", "list") == []


def test_a_failed_run(core: Core, project: Path) -> None:
    text = (
        (project / "train.py")
        .read_text(encoding="utf-8")
        .replace("return sum(numbers) * scale", "raise OSError('no luck')")
    )
    (project / "bad.py").write_text(text, encoding="utf-8")
    done = core("run", "bad.py:training")
    assert done.code == 1
    assert "bad.py" in done.err
    assert "OSError: no luck" in done.err
    assert "core/execute.py" not in done.err
    shown = core("runs", "show", "latest").out
    assert "total failed: " in shown
    assert states(core, "latest") == {"load": "completed", "total": "failed"}


def test_runs_are_found_by_a_part_of_their_id(core: Core) -> None:
    run = ran(core)
    for part in (run, run[-8:], run[:18], "latest"):
        assert data(core, "runs", "show", part)["id"] == run
    done = core("runs", "show", "ffffffff-none")
    assert done.code == 3
    assert "core runs list" in done.err


def test_listing_pages_and_filters(core: Core) -> None:
    runs = [ran(core) for _ in range(3)][::-1]
    assert [row["id"] for row in data(core, "runs", "list", "--limit", "2")] == runs[:2]
    assert [row["id"] for row in data(core, "runs", "list", "--before", runs[1][-8:])] == runs[2:]
    assert data(core, "runs", "list", "--state", "failed") == []
    assert data(core, "runs", "list", "--pipeline", "other") == []
    table = core("runs", "list").out.splitlines()
    assert table[0].split() == ["RUN", "PIPELINE", "STATE", "STARTED", "TIME", "STACK"]
    assert len(table) == 4
    assert runs[0][-8:] in table[1]


def test_logs(core: Core) -> None:
    run = ran(core, "-p", "rows=7")
    assert core("runs", "logs", run, "load").out == "loading 7\n"
    done = core("runs", "logs", "latest")
    assert (done.out, done.err) == ("loading 7\n", "== load\n")
    assert core("runs", "logs", run, "load", "--attempt", "2").code == 3
    assert core("runs", "logs", run, "laod").err.count("did you mean 'load'") == 1
    assert core("runs", "logs", run, "load", "--tail", "0").out == ""
    again = core("runs", "logs", ran(core, "-p", "rows=7"), "load")
    assert again.out == ""
    assert again.err.startswith("load did not run here: same code, parameters and inputs as run ")


def test_diff(core: Core) -> None:
    one, other = ran(core), ran(core, "-p", "scale=3")
    found = data(core, "runs", "diff", one, other)
    assert found["same"] is False
    changes = {(change["what"], change["step"], change["name"]) for change in found["changes"]}
    assert {("parameter", "", "scale"), ("parameter", "total", "scale"), ("artifact", "total", "sum")} <= changes
    assert not any(step == "load" for _, step, _ in changes)
    assert "scale: 1.0 -> 3.0" in core("runs", "diff", one, other).out
    assert data(core, "runs", "diff", one, one)["changes"] == []


def test_delete(core: Core) -> None:
    one, other = ran(core), ran(core)
    assert core("runs", "delete", one, "none-such").code == 3
    assert len(data(core, "runs", "list")) == 2
    assert core("runs", "delete", one[-8:]).code == 0
    assert [row["id"] for row in data(core, "runs", "list")] == [other]


def test_artifacts(core: Core, project: Path) -> None:
    run = ran(core)
    rows = data(core, "artifact", "list")
    assert [(row["run"], row["step"], row["name"]) for row in rows] == [(run, "load", "output"), (run, "total", "sum")]
    assert data(core, "artifact", "list", run, "--step", "total", "--type", "float")[0]["digest"].startswith("blake3:")
    assert core("artifact", "load", "latest/total/sum").out == "3.0\n"
    assert core("artifact", "load", "latest/load").out == "[0, 1, 2]\n"
    assert core("artifact", "load", "latest/load", "--to", "numbers.json").code == 0
    assert json.loads((project / "numbers.json").read_text(encoding="utf-8")) == [0, 1, 2]
    assert core("artifact", "load", "latest/load", "--to", "numbers.json").code == 5
    assert data(core, "artifact", "show", f"{run}/total")["size"] > 0
    assert "float" in core("artifact", "show", "latest/total/sum").out


@pytest.mark.parametrize(
    ("name", "code", "part"),
    [
        ("latest/totl/sum", 3, "did you mean 'total'"),
        ("latest/total/smu", 3, "did you mean 'sum'"),
        ("latest", 2, "RUN/STEP/OUTPUT"),
        ("latest//sum", 2, "RUN/STEP/OUTPUT"),
        ("../../etc/passwd", 2, "RUN/STEP/OUTPUT"),
    ],
)
def test_artifacts_that_are_not_there(core: Core, name: str, code: int, part: str) -> None:
    ran(core)
    done = core("artifact", "show", name)
    assert done.code == code
    assert part in done.err


def test_pipelines(core: Core, project: Path) -> None:
    assert data(core, "pipeline", "list", "train.py") == [
        {"name": "training", "pipeline": "training", "summary": "Adds numbers up."}
    ]
    assert data(core, "pipeline", "check", "train.py")["steps"] == 2
    assert "every edge" in core("pipeline", "check", "train.py").err
    assert "flowchart" in core("pipeline", "graph", "train.py").out
    assert [node["id"] for node in data(core, "pipeline", "graph", "train.py")["nodes"]] == ["load", "total"]
    assert core("pipeline", "graph", "train.py", "-o", "svg", "--out", "p.svg").code == 0
    assert "<svg" in (project / "p.svg").read_text(encoding="utf-8")


def test_check_shows_the_line_that_does_not_fit(core: Core, project: Path) -> None:
    text = (project / "train.py").read_text(encoding="utf-8").replace("load(rows), scale", "load(rows), [scale]")
    (project / "unfit.py").write_text(text, encoding="utf-8")
    done = core("pipeline", "check", "unfit.py")
    assert done.code == 2
    assert "unfit.py" in done.err
    assert "scale" in done.err


def test_python_run_py_and_core_run_reuse_each_other(core: Core, project: Path) -> None:
    with (project / "train.py").open("a", encoding="utf-8") as file:
        file.write("\n\nif __name__ == '__main__':\n    training()\n")
    done = subprocess.run([sys.executable, "train.py"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert states(core, ran(core)) == {"load": "reused", "total": "reused"}


def test_no_run_yet(core: Core) -> None:
    done = core("runs", "list")
    assert done.code == 0
    assert "no runs yet" in done.err
    assert data(core, "runs", "list") == []
    assert core("runs", "show", "latest").code == 3
