"""A base image without any registry to pull from: this machine's Python, what core needs, and busybox for a shell."""

from __future__ import annotations

import io
import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

from core.image.layer import pack
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.testing.engines.shared import Absent, program
from core.testing.tiny_image import push_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from core.testing.engines.registry import RegistryServer

UNWANTED = {
    *("test", "tests", "idlelib", "turtledemo", "tkinter", "lib2to3", "ensurepip"),
    *("site-packages", "dist-packages", "distutils"),
}
"""Folders of the standard library that no step needs."""
PACKAGES = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g")
"""Debian packages all of whose shared libraries go in: wheels of the public index need them."""
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def push_base_image(registry: RegistryServer) -> str:
    """Make the image and push it to the registry; gives its reference by digest."""
    with tempfile.TemporaryFile() as plain, tempfile.TemporaryFile() as packed:
        write_base(plain)
        plain.seek(0)
        layer = pack(iter(lambda: plain.read(1 << 20), b""), packed)
        settings = {"Env": [f"PATH={os.path.dirname(_python())}:/usr/local/bin:/usr/bin:/bin"], "Cmd": ["sh"]}
        with Repository(parse_reference(f"{registry.host}/core/base"), push=True) as repository:
            return push_image(repository, "latest", layer, packed, settings)


def write_base(stream: BinaryIO) -> None:
    """Write the root of the file system as a tar, about 140 MB."""
    shell = program("busybox")
    roots = [_python(), *_standard_library(), *_pip()]
    with tarfile.open(fileobj=stream, mode="w") as tar:
        root = _Root(tar)
        root.add_frame()
        paths = dict.fromkeys(path for root in roots for path in _files(root))
        binaries = [path for path in paths if path == _python() or re.search(r"\.so(\.|$)", path)]
        modules = dict(_dependencies("core"))
        binaries += [path for path in modules.values() if re.search(r"\.so(\.|$)", path)]
        for path in [*paths, *_libraries(binaries), shell]:
            root.add_file(path)
        for name, path in modules.items():
            root.add_file(path, name)
        for name in ("python", "python3"):
            root.add_link(f"usr/local/bin/{name}", _python())
        for applet in _output([shell, "--list"]).split():
            if applet not in {"busybox", "python"}:
                root.add_link(f"usr/bin/{applet}", shell)
        bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
        if os.path.isfile(bundle):
            root.add_bytes("etc/ssl/certs/ca-certificates.crt", Path(bundle).read_bytes())


def _python() -> str:
    """The interpreter itself, not that of a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _standard_library() -> Iterator[str]:
    base = {"base": sys.base_prefix, "installed_base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    for name in ("stdlib", "platstdlib"):
        yield sysconfig.get_path(name, vars=base)


def _pip() -> list[str]:
    """Folders of pip in the interpreter's own packages."""
    code = "import importlib.metadata as m, pip; print(pip.__path__[0]); print(m.distribution('pip')._path)"
    done = subprocess.run([_python(), "-I", "-c", code], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Absent(f"{_python()} has no pip")
    return done.stdout.split("\n")[:2]


def _dependencies(package: str) -> Iterator[tuple[str, str]]:
    """Every file of the packages that `package` needs, where it goes and where it is: a build then installs none."""
    from packaging.requirements import Requirement  # pytest brings it

    place = sysconfig.get_path("purelib", vars={"base": sys.base_prefix}).lstrip("/")
    todo, seen = [package], {package}
    while todo:
        found = distribution(todo.pop())
        for text in found.requires or ():
            needed = Requirement(text)
            if needed.name.lower() not in seen and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                seen.add(needed.name.lower())
                todo.append(needed.name)
        for file in [] if found.name == package else found.files or ():
            if ".." not in file.parts and os.path.isfile(str(found.locate_file(file))):
                yield f"{place}/{file}", str(found.locate_file(file))


def _files(root: str) -> Iterator[str]:
    if os.path.isfile(root):
        yield root
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in UNWANTED and not name.startswith("config-"))
        for name in sorted(names):
            if not name.endswith((".a", ".opt-1.pyc", ".opt-2.pyc")) and not name.startswith("_tkinter"):
                yield os.path.join(folder, name)


def _libraries(binaries: Iterable[str]) -> Iterator[str]:
    """Shared libraries that the binaries want, and all of the packages that every wheel may want."""
    told = _output(["ldd", *binaries])
    for path in dict.fromkeys(re.findall(r"(/\S+) \(0x", told)):
        yield path
    if shutil.which("dpkg"):
        for path in _output(["dpkg", "-L", *PACKAGES]).split("\n"):
            if re.search(r"\.so(\.|$)", path) and os.path.isfile(path):
                yield path


class _Root:
    """The tar under way: each path once, for the engine refuses a second of the same name."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.tar = tar
        self.seen: set[str] = set()

    def add_frame(self) -> None:
        """Folders and files that every program expects, `/bin` and `/lib` as links where this machine has them so."""
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{name}"):
                self.add_link(name, os.readlink(f"/{name}"))
        for name, mode in (("tmp", 0o1777), ("root", 0o755), ("var/tmp", 0o1777), ("home", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self.tar.addfile(entry)
        for name, text in FILES.items():
            self.add_bytes(name, text.encode())

    def add_file(self, path: str, name: str = "") -> None:
        """A file under `name` or the path that it has here; a link with what it points to."""
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if os.path.islink(real):
            self.add_link(real.lstrip("/"), os.readlink(real))
            self.add_file(os.path.realpath(real))
        elif self._new(name or real.lstrip("/")):
            with open(real, "rb") as file:
                entry = tarfile.TarInfo(name or real.lstrip("/"))
                status = os.fstat(file.fileno())
                entry.size, entry.mode = status.st_size, status.st_mode & 0o777
                entry.mtime = int(status.st_mtime)  # compiled bytecode is good for the time of its source
                self.tar.addfile(entry, file)

    def add_link(self, name: str, target: str) -> None:
        """A symbolic link."""
        if self._new(name):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            self.tar.addfile(entry)

    def add_bytes(self, name: str, data: bytes) -> None:
        """A file that everybody may read."""
        if self._new(name):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            self.tar.addfile(entry, io.BytesIO(data))

    def _new(self, name: str) -> bool:
        if name in self.seen:
            return False
        self.seen.add(name)
        return True


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout
