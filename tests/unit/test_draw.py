"""Pictures of graphs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.draw import draw
from core.draw import layout as layouts
from core.draw.layout import in_rows, layout
from core.errors import UsageError
from core.model.expand import expand_graph
from core.model.graph import WHEN, Collect, Edge, Graph, Node
from core.model.graph import from_data as graph_of

SVG = "{http://www.w3.org/2000/svg}"


def node(name, inputs=None, outputs=("output",), after=()):
    return Node(name, f"run:{name}", {key: Edge(*edge) for key, edge in (inputs or {}).items()}, {}, outputs, after)


def chain(length):
    return Graph("chain", tuple(node(f"s{i}", {"x": (f"s{i - 1}", "output")} if i else {}) for i in range(length)))


def diamond():
    models = Collect("list", (("", Edge("left", "model")), ("", Edge("right", "model"))))
    return Graph(
        "training",
        (
            node("load", outputs=("features", "target")),
            node("left", {"x": ("load", "features"), "y": ("load", "target")}, ("model",)),
            node("right", {"x": ("load", "features")}, ("model",)),
            Node("best", "run:best", {"models": models}, {}, ("output",)),
            node("report", {"best": ("best", "output")}, after=("right",)),
        ),
    )


def texts(svg, kind):
    every = ET.fromstring(svg).iter(f"{SVG}text")
    return ["".join(element.itertext()) for element in every if element.get("class") == kind]


def test_svg_shows_steps_outputs_and_waiting() -> None:
    svg = draw(diamond(), "svg")
    assert texts(svg, "name") == ["load", "left", "right", "best", "report"]
    assert texts(svg, "step")[0] == "run:load"
    assert svg.count('class="line"') == 5
    assert svg.count('class="line wait"') == 1
    assert "features, target</text>" in svg
    assert not re.search(r"<script|@import|url\((?!#)|href|http(?!://www\.w3\.org/2000/svg)", svg)


def test_svg_colours_the_states() -> None:
    svg = draw(diamond(), "svg", {"load": "reused", "left": "failed", "right": "of the future"})
    assert '<g class="reused">' in svg
    assert '<g class="failed">' in svg
    assert "of the future" not in svg


def test_svg_is_the_same_every_time() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_draw import *; sys.stdout.write(draw(diamond(), 'svg'))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, __file__.rpartition("/")[0]],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout


@given(st.text(min_size=1, max_size=80))
def test_any_name_gives_valid_and_harmless_pictures(name: str) -> None:
    graph = Graph(
        name, (Node(name, name, {}, {}, (name,)), Node(name + "x", "m:x", {"a": Edge(name, name)}, {}, ("output",)))
    )
    svg = draw(graph, "svg")
    ET.fromstring(svg)
    assert "<script" not in svg.lower()
    label = draw(graph, "mermaid").splitlines()[1]
    assert re.fullmatch(r'    n0\["[^"<>]*<br/>[^"<>]*"\]', label)


@pytest.mark.parametrize("size", [0, 1, 300])
def test_sizes(size: int) -> None:
    assert len(texts(draw(chain(size), "svg"), "name")) == size


@pytest.mark.parametrize("size", [1000, 10_000])
def test_a_long_chain_does_not_recurse(size: int) -> None:
    limit = sys.getrecursionlimit()
    svg = draw(chain(size), "svg")
    assert svg.count("<g ") == size
    assert sys.getrecursionlimit() == limit


def overlapping(boxes, height):
    rows = {}
    for left, right, y in boxes:
        rows.setdefault(round(y), []).append((left, right))
    for row in rows.values():
        row.sort()
        yield from (pair for pair in pairwise(row) if pair[0][1] > pair[1][0])
    ys = sorted(rows)
    yield from (pair for pair in pairwise(ys) if pair[1] - pair[0] < height)


@st.composite
def graphs(draw_):
    size = draw_(st.integers(1, 25))
    lines = {
        (f"n{source}", f"n{target}")
        for target in range(1, size)
        for source in draw_(st.lists(st.integers(0, target - 1), max_size=3))
    }
    widths = {f"n{number}": draw_(st.floats(60, 300)) for number in range(size)}
    return widths, sorted(lines)


@given(graphs(), st.booleans())
def test_no_boxes_overlap_and_lines_go_down(graph, plain) -> None:
    widths, lines = graph
    placed = (in_rows if plain else layout)(widths, 48.0, lines)
    assert placed.centres.keys() == widths.keys()
    for source, target in lines:
        assert placed.centres[source].y < placed.centres[target].y
    boxes = [(c.x - widths[n] / 2 + 0.01, c.x + widths[n] / 2 - 0.01, c.y) for n, c in placed.centres.items()]
    assert list(overlapping(boxes, 48)) == []


def test_a_failing_library_gives_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_):
        raise RecursionError

    monkeypatch.setattr(layouts, "_grandalf", fail)
    assert len(texts(draw(diamond(), "svg"), "name")) == 5


def grown(calls):
    clean = Node("clean", "run:clean", {"x": Edge("load", "output")}, {}, ("output",), each=("x",))
    good = Node("good", "run:good", {"x": Edge("clean", "output")}, {}, ("output",), each=("x",))
    inputs = {"x": Edge("clean", "output"), WHEN: Edge("good", "output")}
    deploy = Node("deploy", "run:deploy", inputs, {}, ("output",), each=tuple(inputs))
    last = Node("last", "run:last", {"x": Edge("deploy", "output")}, {}, ("output",), when=Edge("load", "output"))
    graph = Graph("p", (node("load"), clean, good, deploy, last))
    return graph if calls is None else expand_graph(graph, dict.fromkeys(["clean", "good", "deploy"], calls))


def test_a_mapped_step_is_a_stack() -> None:
    svg = draw(grown(None), "svg")
    assert texts(svg, "name") == ["load", "clean [each]", "good [each]", "deploy [each]", "last"]
    assert svg.count("when</text>") == 2
    assert svg.count('class="box"') == 5 + 2 * 3
    assert '    n1[["clean #91;each#93;<br/>run:clean"]]' in draw(grown(None), "mermaid").splitlines()


def test_a_few_calls_are_drawn_one_by_one() -> None:
    svg = draw(grown(3), "svg", {"clean[1]": "failed"})
    assert len(texts(svg, "name")) == 2 + 3 * 3
    assert svg.count('<g class="failed">') == 1
    assert svg.count("when</text>") == 4


def test_many_calls_are_one_box_in_the_colour_of_the_worst() -> None:
    graph = grown(1000)
    states = {each.id: "completed" for each in graph.nodes} | {"clean[7]": "failed", "good[8]": "skipped"}
    svg = draw(graph, "svg", states)
    assert texts(svg, "name") == ["load", "clean × 1000", "good × 1000", "deploy × 1000", "last"]  # noqa: RUF001
    assert re.findall(r'<g class="(\w+)">', svg) == ["completed", "failed", "skipped", "completed", "completed"]
    assert "1 failed, 999 completed</title>" in svg
    assert svg.count('<path class="line') == 6


def test_mermaid() -> None:
    assert draw(diamond(), "mermaid", {"left": "failed"}).splitlines() == [
        "flowchart TD",
        '    n0["load<br/>run:load"]',
        '    n1["left<br/>run:left"]',
        "    style n1 stroke:#dc2626,stroke-width:3px",
        '    n2["right<br/>run:right"]',
        '    n3["best<br/>run:best"]',
        '    n4["report<br/>run:report"]',
        '    n0 -->|"features, target"| n1',
        '    n0 -->|"features"| n2',
        '    n1 -->|"model"| n3',
        '    n2 -->|"model"| n3',
        "    n3 --> n4",
        "    n2 -.-> n4",
    ]


def test_json_is_the_graph() -> None:
    assert graph_of(json.loads(draw(diamond(), "json"))) == diamond()


def test_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="'png'; expected one of svg, mermaid, json"):
        draw(diamond(), "png")
