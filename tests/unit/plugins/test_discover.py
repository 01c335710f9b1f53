"""Finding installed plugins without looking twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distributions

import pytest

from core.plugins import discover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

ENTRY = "[core.plugins]\nmine = my_module\n"
OLD = 1_700_000_000


def distribution(site: Path, name: str, entry_points: str = ENTRY, version: str = "1.0") -> Path:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    os.utime(site, (OLD, OLD))
    return info


def test_finds_what_importlib_finds(tmp_path: Path) -> None:
    distribution(tmp_path, "one")
    distribution(tmp_path, "two", "[console_scripts]\nx = y:z\n[core.plugins]\na = b.c:D\nb = c\n")
    distribution(tmp_path, "none", "[console_scripts]\ncore.plugins = y:z\n")
    found = {(f.name, f.target, f.distribution) for f in discover.installed(path=[str(tmp_path)])}
    theirs = {
        (entry.name, entry.value, each.name)
        for each in distributions(path=[str(tmp_path)])
        for entry in each.entry_points
        if entry.group == discover.GROUP
    }
    assert found == theirs == {("mine", "my_module", "one"), ("a", "b.c:D", "two"), ("b", "c", "two")}


def test_looks_again_only_when_the_folder_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, home = tmp_path / "site", str(tmp_path / "home")
    distribution(site, "one")
    first = discover.installed(home, [str(site)])
    monkeypatch.setattr(discover, "_scan", lambda _: pytest.fail("read again"))
    assert discover.installed(home, [str(site)]) == first != []
    monkeypatch.undo()
    distribution(site, "two", "[core.plugins]\nother = x\n")
    os.utime(site, (OLD + 1, OLD + 1))
    assert [found.name for found in discover.installed(home, [str(site)])] == ["mine", "other"]


def test_a_folder_that_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    site, home = tmp_path / "site", tmp_path / "home"
    site.mkdir()
    assert discover.installed(str(home), [str(site)]) == []
    assert json.loads((home / discover.FILE).read_text())["folders"] == {}


def test_the_first_of_two_copies_counts(tmp_path: Path) -> None:
    distribution(tmp_path / "a", "my_dist", version="2.0")
    distribution(tmp_path / "b", "My.Dist", version="1.0")
    (found,) = discover.installed(path=[str(tmp_path / "a"), str(tmp_path / "b")])
    assert found.version == "2.0"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 99}', '{"version": 1, "folders": {"x": 3}}', "null"])
def test_a_damaged_memory_is_looked_past(tmp_path: Path, content: str) -> None:
    distribution(tmp_path / "site", "one")
    (tmp_path / discover.FILE).write_text(content)
    assert len(discover.installed(str(tmp_path), [str(tmp_path / "site")])) == 1


def test_a_home_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    distribution(tmp_path / "site", "one")
    (tmp_path / "file").write_text("")
    assert len(discover.installed(str(tmp_path / "file" / "home"), [str(tmp_path / "site"), "/no/such/folder"])) == 1


def test_the_second_look_for_plugins_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from core.plugins.registry import Registry; r = Registry(home=sys.argv[1]);"
        "r.flavor('orchestrator', 'local'); r.observers('x', 'plain');"
        "print([m for m in ('pluggy', 'importlib.metadata', 'rich', 'pydantic', 'logging', 'difflib') if m in sys.modules])"
    )
    environment = {**os.environ, "CORE_PLUGINS_BLOCK": "*"}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
        )
    assert done.stdout.strip() == "[]"
