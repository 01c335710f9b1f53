"""What image settings mean, what they refuse, and where requirements come from."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from core import ImageSettings, pipeline, step
from core.errors import ConfigurationError, DefinitionError
from core.image.options import based, check, limit_of, merged, platform_of
from core.image.requirements import find_requirements
from core.text import size_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_step_adds_to_its_pipeline():
    below = ImageSettings(base_image="base:1", apt_packages=("git",), environment={"A": "1", "B": "1"})
    above = ImageSettings(apt_packages=("curl",), environment={"B": "2"})
    both = merged(below, above)
    assert (both.base_image, both.apt_packages) == ("base:1", ("curl",))
    assert both.environment == {"A": "1", "B": "2"}
    assert merged(None, None) == ImageSettings()


def test_a_step_takes_the_place_of_what_its_pipeline_says():
    ready = ImageSettings(base_image="ready:1", skip_build=True)
    built = ImageSettings(dockerfile="Dockerfile", build_context=".", apt_packages=("git",))
    own = ImageSettings(dockerfile="own/Dockerfile")
    based_on = ImageSettings(base_image="base:1")
    assert check(merged(ready, own), "") == own
    assert check(merged(built, based_on), "") == ImageSettings(base_image="base:1", apt_packages=("git",))
    assert check(merged(built, ready), "") == ready
    assert not merged(ready, ImageSettings(skip_build=False)).skip_build
    with pytest.raises(ConfigurationError, match="apt_packages is for what is built"):
        check(merged(ready, ImageSettings(apt_packages=("git",))), "")
    assert check(merged(ready, ImageSettings(apt_packages=("git",), skip_build=False)), "").base_image == "ready:1"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"skip_build": True}, "skip_build needs a ready image"),
        ({"dockerfile": "Dockerfile", "base_image": "x"}, "dockerfile and base_image exclude each other"),
        ({"build_context": "."}, "build_context is for a dockerfile"),
        ({"python_version": "three"}, "python_version='three' is no version"),
        ({"platform": "linux arm"}, "platform='linux arm' is no platform"),
        ({"environment": {"A B": "1"}}, "environment has the name 'A B'"),
        ({"apt_packages": ("git; rm -rf /",)}, "apt_packages has 'git; rm -rf /'"),
        ({"build_secrets": {"pip_conf": "the secret"}}, r"build_secrets\['pip_conf'\] is the secret itself"),
        ({"code_limit": "much"}, "code_limit='much' is no size"),
        ({"skip_build": True, "base_image": "x", "requirements": ("numpy",)}, "requirements is for what is built"),
        ({"environment": {"A": "one\ntwo"}}, r"environment\['A'\] is no text of one line"),
        ({"apt_packages": "git"}, "apt_packages='git' is no list of texts"),
        ({"include": "*.csv"}, r"include='\*\.csv' is no list of texts"),
        ({"requirements": [1]}, r"requirements=\[1\] is no list of texts"),
    ],
)
def test_what_contradicts_itself_is_refused(wrong: dict[str, Any], told: str):
    with pytest.raises(ConfigurationError, match=f"^step 'train': image setting {told}") as caught:
        check(ImageSettings(**wrong), "step 'train'")
    assert caught.value.hint
    assert "the secret'" not in str(caught.value)


def test_lists_are_as_good_as_tuples():
    listed = check(ImageSettings(requirements=["numpy"], apt_packages=["git"], include=["*.csv"]), "")
    assert listed == ImageSettings(requirements=("numpy",), apt_packages=("git",), include=("*.csv",))


def test_sizes_and_platforms_are_read():
    assert limit_of(ImageSettings(code_limit="2GB")) == 2 * 10**9
    assert limit_of(ImageSettings(code_limit="1.5 GiB")) == 1.5 * 2**30
    sizes = {"5": 5, "5b": 5, " 2g ": 2 * 10**9, "512MB": 512 * 10**6, "16GiB": 2**34, "1 tib": 2**40}
    assert {text: size_of(text) for text in (*sizes, "x", "5i", "5 xb")} == sizes | {
        "x": None,
        "5i": None,
        "5 xb": None,
    }
    assert platform_of(ImageSettings(platform="linux/arm64")) == "linux/arm64"
    assert platform_of(ImageSettings()).startswith("linux/")


def test_what_is_built_on_where_nobody_says():
    own = "registry.example.com/python:{version}"
    assert based(ImageSettings(python_version="3.12"), own).base_image == "registry.example.com/python:3.12"
    assert based(ImageSettings(base_image="mine"), own).base_image == "mine"
    assert based(ImageSettings(dockerfile="Dockerfile"), own).base_image is None
    assert based(ImageSettings(), "").base_image is None


def test_image_wants_settings():
    with pytest.raises(DefinitionError, match=r"image='python:3\.12' is no ImageSettings"):
        step(image="python:3.12")(lambda: None)  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match=r"pipeline .* image='python:3\.12' is no ImageSettings"):
        pipeline(image="python:3.12")(lambda: None)  # type: ignore[call-overload]


def test_requirements_are_found_in_the_project(tmp_path: Path):
    settings = ImageSettings()
    assert find_requirements(settings, str(tmp_path)).origin == "nothing"
    (tmp_path / "requirements.txt").write_text("numpy==2.1  # fast\ncore[aws]\ncore-plugin-aws==0.1\n-r more.txt\n")
    (tmp_path / "more.txt").write_text("pandas\\\n  >=2\n")
    found = find_requirements(settings, str(tmp_path))
    assert (found.text.splitlines(), found.origin) == (["numpy==2.1", "pandas >=2"], "requirements.txt")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\ndependencies = ['polars>1', 'core']\n")
    assert find_requirements(settings, str(tmp_path)) == ("polars>1", "pyproject.toml")
    listed = find_requirements(ImageSettings(requirements=("torch", "core")), str(tmp_path))
    assert listed == ("torch", "the image settings")


def test_a_lock_file_is_exported_by_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['a-package']\n"
    )
    (tmp_path / "uv.lock").write_text(LOCK)
    found = find_requirements(ImageSettings(), str(tmp_path))
    assert (found.text.split(" ;")[0], found.origin) == ("a-package==1.0", "uv.lock")
    (tmp_path / "uv.lock").write_text("no lock")
    with pytest.raises(ConfigurationError, match=r"uv can't read '.*uv.lock'"):
        find_requirements(ImageSettings(), str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert find_requirements(ImageSettings(), str(tmp_path)) == (
        "a-package",
        "pyproject.toml, not uv.lock: uv is not installed here",
    )


LOCK = """version = 1
requires-python = ">=3.11"

[[package]]
name = "a-package"
version = "1.0"
source = { registry = "https://index.example/simple" }
sdist = { url = "https://index.example/a-package-1.0.tar.gz", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000", size = 1 }

[[package]]
name = "x"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "a-package" }]

[package.metadata]
requires-dist = [{ name = "a-package" }]
"""


@pytest.mark.parametrize("line", ["-e .", "./lib", "../other", "x @ file:///home/me/x"])
def test_folders_of_this_machine_are_no_requirements(tmp_path: Path, line: str):
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    with pytest.raises(ConfigurationError, match="is a folder or file of this machine"):
        find_requirements(ImageSettings(), str(tmp_path))


def test_requirements_that_can_not_be_read_are_told(tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("numpy\n-c constraints.txt\n")
    with pytest.raises(ConfigurationError, match=r"'-c constraints.txt' of .* names constraints"):
        find_requirements(ImageSettings(), str(tmp_path))
    with pytest.raises(ConfigurationError, match="No such file"):
        find_requirements(ImageSettings(requirements="none.txt"), str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"'-r more.txt' of the image settings is a file"):
        find_requirements(ImageSettings(requirements=("numpy", "-r more.txt")), str(tmp_path))
    (tmp_path / "round.txt").write_text("numpy\n-r round.txt\n")
    with pytest.raises(ConfigurationError, match=r"5 files deep, and include 'round.txt'"):
        find_requirements(ImageSettings(requirements="round.txt"), str(tmp_path))
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(ConfigurationError, match="is no TOML"):
        find_requirements(ImageSettings(requirements="pyproject.toml"), str(tmp_path))
