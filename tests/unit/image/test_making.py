"""Recipes, wheels, projects, and what is said meanwhile: all that needs neither engine nor registry."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from core import ImageSettings
from core.builtin.image_builders.registry import RegistryImageBuilder
from core.builtin.image_builders.verdict import build_error
from core.errors import ConfigurationError, InfrastructureError
from core.image import voice as module
from core.image.ensure import Wish, ensure_images
from core.image.project import commit_of, find_project
from core.image.recipe import make_recipe
from core.image.remember import Memory, settled
from core.image.requirements import Requirements
from core.image.voice import Voice
from core.image.wheel import make_wheel, package, package_of
from core.model.spec import StepOptions, StepSpec
from core.ports.image_builder import ImageBuilder

if TYPE_CHECKING:
    from pathlib import Path

    from core.ports.image_builder import Code, Recipe

DIGEST = "sha256:" + "a" * 64


def recipe(root: Path, text: str = "", **settings: object) -> tuple[Recipe, dict[str, str]]:
    made, parts = make_recipe(
        ImageSettings(**settings),  # type: ignore[arg-type]
        Requirements(text, "a test"),
        [package("core")],
        str(root),
        lambda name: f"{name}@{DIGEST}",
    )
    return made, dict(parts)


def test_the_same_settings_are_the_same_environment(tmp_path: Path):
    first, parts = recipe(tmp_path, "numpy")
    assert recipe(tmp_path, "numpy")[0] == first
    others = [
        recipe(tmp_path, "pandas"),
        recipe(tmp_path, "numpy", base_image="other"),
        recipe(tmp_path, "numpy", apt_packages=("git",)),
        recipe(tmp_path, "numpy", environment={"A": "1"}),
        recipe(tmp_path, "numpy", platform="linux/s390x"),
    ]
    assert len({first.key, *(each.key for each, _ in others)}) == 6
    memory = Memory(str(tmp_path / "home"))
    assert memory.changes("project", parts) == []
    memory.note("project", parts)
    assert memory.changes("project", others[0][1]) == memory.changes("project", others[0][1]) == ["requirements"]
    memory.save()
    assert Memory(str(tmp_path / "home")).changes("project", others[0][1]) == ["requirements"]


def test_a_dockerfile_counts_with_what_it_copies(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("a")
    alone = recipe(tmp_path, dockerfile="Dockerfile")[0]
    both = recipe(tmp_path, dockerfile="Dockerfile", build_context="files")[0]
    (tmp_path / "files" / "a").write_text("b")
    assert recipe(tmp_path, dockerfile="Dockerfile")[0] == alone
    other = recipe(tmp_path, dockerfile="Dockerfile", build_context="files")[0]
    assert (other.own, other.context, other.base) == ("FROM x\n", str(tmp_path / "files"), "")
    (tmp_path / "files" / "a").chmod(0o755)
    program = recipe(tmp_path, dockerfile="Dockerfile", build_context="files")[0]
    assert len({one.key for one in (alone, both, other, program)}) == 4
    with pytest.raises(ConfigurationError, match=r"Dockerfile '.*none' can't be read: No such file"):
        recipe(tmp_path, dockerfile="none")
    with pytest.raises(ConfigurationError, match=r"build_context '.*none' is no folder"):
        recipe(tmp_path, dockerfile="Dockerfile", build_context="none")


def test_what_docker_ignores_does_not_count(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "files" / "deep").mkdir(parents=True)
    (tmp_path / "files" / ".dockerignore").write_text("# not these\n\n**/*.log\n!kept.log\n")
    for name in ("a", "kept.log", "other.log", "deep/deep.log"):
        (tmp_path / "files" / name).write_text("1")

    def key() -> str:
        return recipe(tmp_path, dockerfile="Dockerfile", build_context="files")[0].key

    first = key()
    for name in ("other.log", "deep/deep.log", "deep/new.log"):
        (tmp_path / "files" / name).write_text("2")
    assert key() == first
    (tmp_path / "files" / "kept.log").write_text("2")
    assert key() != first


def test_debian_packages_are_installed_first(tmp_path: Path):
    made = recipe(tmp_path, "numpy", apt_packages=("libgomp1", "git=1:2.*"), build_secrets={"pip_conf": "{{i.conf}}"})[
        0
    ]
    lines = made.dockerfile.splitlines()
    assert lines[:2] == ["FROM @BASE@", "USER root"]
    assert lines[2] == (
        "RUN --mount=type=secret,id=pip_conf apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy "
        "--no-install-recommends git=1:2.* libgomp1 && rm -rf /var/lib/apt/lists/*"
    )
    assert [line for line in lines if "apt-get" in line] == lines[2:3]
    assert "apt-get" not in recipe(tmp_path, "numpy")[0].dockerfile


def test_the_python_of_a_base_of_ones_own_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The recipe's own command, by a shell that finds this Python."""
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3"):
        (tmp_path / "bin" / name).symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def looked(**settings: str) -> tuple[int, str]:
        text = recipe(tmp_path, **settings)[0].dockerfile
        (command,) = (line.removeprefix("RUN ") for line in text.splitlines() if "command -v python" in line)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    here = ".".join(map(str, sys.version_info[:3]))
    for version in (here, here.rpartition(".")[0]):
        assert looked(base_image="mine", python_version=version) == (0, "")
    code, said = looked(base_image="mine", python_version="3.8")
    assert (code, said.strip()) == (1, f"{sys.version} is not 3.8")
    assert looked(base_image="mine") == (0, "")
    assert "version_info" not in recipe(tmp_path, base_image="mine")[0].dockerfile  # whichever it has
    assert recipe(tmp_path, python_version="3.8")[0].base == f"python:3.8-slim@{DIGEST}"
    assert looked(python_version="3.8")[0] == 1


def test_a_build_secret_stands_in_no_line_of_the_recipe(tmp_path: Path):
    made = recipe(tmp_path, "numpy", build_secrets={"pip_conf": "{{index.conf}}"})[0]
    assert "--mount=type=secret,id=pip_conf" in made.dockerfile
    assert "index.conf" not in made.dockerfile
    assert "word" not in repr(made._replace(secrets={"pip_conf": "word"}))


def test_the_wheel_of_core_is_the_one_that_runs_here():
    found = package("core")
    data = make_wheel(found)
    assert data == make_wheel(package("core"))
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        names = wheel.namelist()
        assert "core/run.py" in names
        assert any(name.endswith("entry_points.txt") for name in names)
        about = next(name for name in names if name.endswith("METADATA"))
        assert f"Version: {found.version}" in wheel.read(about).decode()
    with pytest.raises(ConfigurationError, match="'no_such_thing' has no folder"):
        package("no-such-thing")


def test_a_plugin_need_not_be_called_like_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    about = tmp_path / "acme.things-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme.things\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[core.plugins]\nacme = acme_store:plugin\n")
    (tmp_path / "acme_store.py").write_text("plugin = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = package(package_of("acme_store"), None, "acme_store")
    assert (found.name, found.wheel) == ("acme.things", "acme_things-1.0-py3-none-any.whl")
    with zipfile.ZipFile(io.BytesIO(make_wheel(found))) as wheel:
        assert wheel.namelist()[:2] == ["acme_store.py", "acme_things-1.0.dist-info/METADATA"]
    assert package_of("core") == "core"
    assert package_of("no_such_thing") == "no-such-thing"


def test_what_is_remembered_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    memory = Memory(str(tmp_path))
    first = package("core", memory)
    memory.save()
    monkeypatch.setattr("core.image.wheel._digest", lambda _: "read again")
    assert package("core", Memory(str(tmp_path))) == first
    assert memory.known("packages", "core", "another stamp") == ""
    (tmp_path / "images.json").write_text("no json")
    assert package("core", Memory(str(tmp_path))).digest == "read again"
    assert settled([5], lambda: 200_000_000)
    assert not settled([5, 150_000_000], lambda: 200_000_000)


class Nowhere(ImageBuilder):
    """Makes everything anew, of nothing."""

    def base(self, name: str, _: object) -> str:
        return f"{name}@{DIGEST}"

    def find(self, *_: object) -> str:
        return ""

    def environment(self, *_: object) -> str:
        return "environment"

    def code(self, *_: object) -> str:
        return "image"


def test_two_environments_do_not_change_each_other(tmp_path: Path):
    (tmp_path / "pyproject.toml").touch()
    said = list[str]()
    specs = {
        name: StepSpec("m:f", name, print, str(tmp_path))._replace(
            options=StepOptions(image=ImageSettings(requirements=[word]))
        )
        for name, word in (("one", "numpy"), ("two", "pandas"))
    }
    wish = Wish(specs, "flow", None, None, Nowhere(), (), str(tmp_path / "home"), lambda data, _: data)
    for _ in range(2):
        assert [made.steps for made in ensure_images(wish, Voice(said.append))] == [("one",), ("two",)]
    told = [line for line in said if "building:" in line]
    assert len(told) == 4
    assert not [line for line in told if "changed" in line]


def test_the_tag_of_a_base_is_asked_for_once(tmp_path: Path):
    (tmp_path / "pyproject.toml").touch()
    asked = list[str]()

    class Slow(Nowhere):
        def base(self, name: str, registry: object) -> str:
            asked.append(name)
            time.sleep(0.3)
            return super().base(name, registry)

    spec = StepSpec("m:f", "f", print, str(tmp_path))
    image = ImageSettings(base_image="python:3")
    wish = Wish({"f": spec}, "flow", image, None, Slow(), (), str(tmp_path / "home"), lambda data, _: data)
    ensure_images(wish, Voice(lambda _: None))
    assert asked == ["python:3"]


def test_a_base_whose_registry_is_away_is_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.oci.http.FIRST", 0.001)
    name, said = "127.0.0.1:9/team/base:1", list[str]()
    spec = StepSpec("m:f", "f", print, str(tmp_path))
    ready = ImageSettings(base_image=name, skip_build=True)
    wish = Wish({"f": spec}, "flow", ready, None, RegistryImageBuilder(), (), str(tmp_path), lambda data, _: data)
    with pytest.raises(InfrastructureError, match="can't be reached"):
        ensure_images(wish, Voice(said.append))
    memory = Memory(str(tmp_path))
    memory.keep("bases", name, "", f"127.0.0.1:9/team/base@{DIGEST}")
    memory.save()
    (made,) = ensure_images(wish, Voice(said.append))
    assert made.reference == f"127.0.0.1:9/team/base@{DIGEST}"
    assert f"{name} as it was last seen, for registry '127.0.0.1:9' can't be reached" in said[0]


def test_a_container_imports_what_this_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "src")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    spec = StepSpec("m:f", "f", print, str(tmp_path / "src"))
    project = find_project({"f": spec})
    assert (project.root, project.folder) == (str(tmp_path), "/app/src")
    assert project.environment == {"PYTHONPATH": "/app/src:/app"}
    elsewhere = spec._replace(source_root="/somewhere/else")
    with pytest.raises(ConfigurationError, match="step 'g' comes from '/somewhere/else', outside of the project"):
        find_project({"f": spec, "g": elsewhere})


def test_labels_tell_the_commit(tmp_path: Path):
    """Of a project that is in git, and whether it is just that."""
    assert commit_of(str(tmp_path)) == {}
    project, labels, tags = tmp_path / "project", list[dict[str, str]](), list[str]()

    class Keeping(Nowhere):
        def code(self, _base: str, code: Code, tag: str, _registry: object) -> str:
            labels.append(dict(code.labels))
            tags.append(tag)
            return "image"

    def made() -> dict[str, str]:
        spec = StepSpec("m:f", "f", print, str(project))
        wish = Wish(
            {"f": spec}, "flow", None, None, Keeping(), (), str(tmp_path / "home"), lambda data, _: data, "0197"
        )
        ensure_images(wish, Voice(lambda _: None))
        return labels[-1]

    project.mkdir()
    (project / "pyproject.toml").touch()
    assert made() == {"core.pipeline": "flow", "core.run": "0197"}
    git = ["git", "-C", str(project), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert made() == {"core.pipeline": "flow", "core.run": "0197", "core.git.commit": head, "core.git.dirty": "false"}
    (project / "pyproject.toml").write_text("[project]\n")
    assert made() == {**labels[1], "core.git.dirty": "true"}
    (project / "pyproject.toml").write_text("")
    (project / "new.py").touch()
    assert made() == {**labels[1], "core.git.dirty": "true"}
    assert len(set(tags)) == 4


def test_a_failed_build_is_told_by_its_last_lines():
    lines = ["#5 [2/3] RUN false", "\x1b[31m#5 0.1 no such thing\x1b[0m", "[notice] a new pip", "", "exit code: 1"]
    assert "no such thing\n    exit code: 1" in build_error(lines).message
    told = build_error(["#7 1.2 ERROR: No matching distribution found for nothing==1", "exit code: 1"])
    assert "can't be installed:\n    ERROR: No matching distribution found for nothing==1" in told.message


def test_what_takes_long_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FIRST", 0.2)
    monkeypatch.setattr(module, "THEN", 0.2)
    said: list[str] = []
    with Voice(said.append) as voice:
        voice.doing("quick")
        voice.doing("")
        time.sleep(0.25)
        assert said == []
        voice.doing("slow")
        end = time.monotonic() + 20
        while len(said) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        voice.say("image", "made")
    words = [line.split()[0] for line in said]
    assert (words[:2], words[-1]) == (["slow", "slow"], "image")
    assert said[1].endswith(" s")
