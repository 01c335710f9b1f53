"""Small wheels made on the spot, and virtual environments to install them into: a twentieth of a second each."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from core.integrations.agreement import agreement, ours
from core.integrations.change import install
from core.integrations.environment import Environment, packages, running, versions
from core.integrations.tool import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from core.integrations.plan import Plan

FULL = os.environ.get("CORE_FAULTS") == "1"
ROOT = Path(__file__).parents[3]
NEEDED = {"blake3", "packaging", "pluggy", "pyyaml"}
"""What `core integration` itself imports: these are no hollow shells."""
SITE = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")


def make_wheel(
    folder: Path, name: str, version: str, requires: Iterable[str] = (), files: Mapping[str, str] | None = None
) -> Path:
    """A wheel with one module of the package's own name, unless `files` says what is in it."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    files = {f"{stem}.py": f"VERSION = {version!r}\n"} if files is None else files
    wants = "".join(f"Requires-Dist: {each}\n" for each in requires)
    inside = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wants}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in inside.items())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for inner, text in {**inside, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            file.writestr(inner, text)
    return path


def hollow(folder: Path, name: str) -> None:
    """A wheel of an installed package as its metadata tells of it, without a module: enough to resolve and to check."""
    found = distribution(name)
    stem = f"{found.metadata['Name'].replace('-', '_').replace('.', '_')}-{found.version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        file.writestr(f"{stem}.dist-info/METADATA", found.read_text("METADATA") or "")
        file.writestr(
            f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(
            f"{stem}.dist-info/RECORD",
            f"{stem}.dist-info/METADATA,,\n{stem}.dist-info/WHEEL,,\n{stem}.dist-info/RECORD,,\n",
        )
        for each in found.files or () if name in NEEDED else ():
            if ".dist-info" not in str(each) and each.suffix != ".pyc" and not str(each).startswith(".."):
                file.write(str(each.locate()), str(each))


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Place(NamedTuple):
    """A virtual environment with a package `core` in it, and a folder of wheels beside it."""

    environment: Environment
    wheels: Path
    home: str

    @property
    def site(self) -> Path:
        return Path(self.environment.folders[0])

    def wheel(self, name: str, version: str, *requires: str, files: Mapping[str, str] | None = None) -> Path:
        return make_wheel(self.wheels, name, version, requires, files)

    def has(self) -> dict[str, str]:
        """What is installed, but core and pip."""
        return {n: v for n, v in versions(packages(self.environment.path)).items() if n not in {"core", "pip"}}

    def add(self, *requirements: str) -> None:
        """Install packages, as a person would."""
        uv(
            "pip",
            "install",
            "-q",
            "--python",
            self.environment.python,
            "--no-index",
            "--find-links",
            str(self.wheels),
            *requirements,
        )

    def install(self, *pins: str, tool: str = "uv", agree: Callable[[Plan], bool] = lambda _: True) -> Plan | None:
        sources = Sources((str(self.wheels),), no_index=True)
        return install(pins, self.environment, self.home, agree, sources=sources, tool=tool, say=lambda _: None)

    def files(self) -> dict[str, bytes]:
        """Every file of the environment, but bytecode."""
        paths = (path for path in Path(self.environment.prefix).rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path): path.read_bytes() for path in paths if path.name != "python" and "python3" not in path.name}


def uv(*words: str) -> None:
    done = subprocess.run(["uv", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_environment(folder: Path) -> Environment:
    uv("venv", "-q", "--python", sys.executable, str(folder))
    site, scripts = str(folder / SITE), str(folder / "bin")
    return Environment(f"{scripts}/python", str(folder), (site,), scripts, (site,))


@pytest.fixture(autouse=True)
def _uv_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "VIRTUAL_ENV", "PYTHON")) and name not in {"UV_CACHE_DIR", "PIP_CERT"}:
            monkeypatch.delenv(name)


@pytest.fixture
def place(tmp_path: Path, engine: Callable[[str], str]) -> Place:
    engine("uv")
    made = Place(make_environment(tmp_path / "venv"), tmp_path / "wheels", str(tmp_path / "home"))
    made.wheel("core", "0.1.0", files={})
    made.add("core")
    return made


@pytest.fixture(scope="session")
def pip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pip with the bytecode that it has here, copied once; environments see it by a `.pth` file."""
    folder, here = tmp_path_factory.mktemp("pip"), distribution("pip")
    for name in {Path(str(each)).parts[0] for each in here.files or ()} - {".."}:
        shutil.copytree(str(here.locate_file(name)), folder / name)
    return folder


@pytest.fixture
def with_pip(place: Place, pip_folder: Path) -> Place:
    (place.site / "pip.pth").write_text(f"{pip_folder}\n")
    return place._replace(environment=place.environment._replace(path=(*place.environment.path, str(pip_folder))))


@pytest.fixture(params=["uv", "pip"])
def each(request: pytest.FixtureRequest, place: Place) -> tuple[Place, str]:
    """An environment for each tool that core can use; pip is in it only where pip is meant.

    pip takes ten times as long: with each change it does one thing, and puts back what failed; CORE_FAULTS=1 has it do all.
    """
    if request.param == "uv":
        return place, "uv"
    if not FULL and "failed_install" not in request.node.name:
        pytest.skip("CORE_FAULTS=1 has pip do all")
    return request.getfixturevalue("with_pip"), "pip"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of core and its plugins, as `make dist` builds them, and of all that they want."""
    folder = tmp_path_factory.mktemp("shelf")
    for project in (ROOT, *(path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))):
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    here = packages(running().path)
    for name in {line.name for line in agreement(here, ours(here))} - set(ours(here)):
        hollow(folder, name)
    return folder
