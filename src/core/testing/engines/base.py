"""A base image without any registry to pull from: this machine's Python, its libraries, and busybox for a shell."""

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
from pathlib import Path
from typing import TYPE_CHECKING

from core.testing.engines.shared import Absent, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from core.testing.engines.docker import DockerEngine
    from core.testing.engines.registry import RegistryServer

UNWANTED = {
    *("test", "tests", "idlelib", "turtledemo", "tkinter", "lib2to3", "ensurepip"),
    *("site-packages", "dist-packages", "__pycache__"),
}
"""Folders of the standard library that no step needs."""
PACKAGES = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g")
"""Debian packages all of whose shared libraries go in: wheels of the public index need them."""
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
NAME = "core/base:latest"


def import_base_image(engine: DockerEngine, registry: RegistryServer) -> str:
    """Make the image, give it to the engine and push it to the registry; gives its reference by digest."""
    import docker  # an optional SDK as far as most tests go

    client = docker.DockerClient(base_url=engine.host, version="auto")
    try:
        stream = io.BytesIO()
        write_base(stream)
        config = f"ENV PATH={os.path.dirname(_python())}:/usr/local/bin:/usr/bin:/bin"
        name, tag = NAME.split(":")
        client.api.import_image_from_data(stream.getvalue(), repository=name, tag=tag, changes=[config])
        repository = f"{registry.host}/core/base"
        client.images.get(NAME).tag(repository, "latest")
        told = client.images.push(repository, "latest", stream=True, decode=True)
        digests = [line["aux"]["Digest"] for line in told if "aux" in line]
        return f"{repository}@{digests[0]}"
    finally:
        client.close()


def write_base(stream: BinaryIO) -> None:
    """Write the root of the file system as a tar, about 90 MB."""
    shell = program("busybox")
    roots = [_python(), *_standard_library(), *_pip()]
    with tarfile.open(fileobj=stream, mode="w") as tar:
        root = _Root(tar)
        root.add_frame()
        paths = dict.fromkeys(path for root in roots for path in _files(root))
        binaries = [path for path in paths if path == _python() or re.search(r"\.so(\.|$)", path)]
        for path in [*paths, *_libraries(binaries), shell]:
            root.add_file(path)
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


def _files(root: str) -> Iterator[str]:
    if os.path.isfile(root):
        yield root
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in UNWANTED and not name.startswith("config-"))
        for name in sorted(names):
            if not name.endswith((".a", ".pyc")) and not name.startswith("_tkinter"):
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

    def add_file(self, path: str) -> None:
        """A file under the path that it has here; a link with what it points to."""
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if os.path.islink(real):
            self.add_link(real.lstrip("/"), os.readlink(real))
            self.add_file(os.path.realpath(real))
        elif self._new(real.lstrip("/")):
            with open(real, "rb") as file:
                entry = tarfile.TarInfo(real.lstrip("/"))
                status = os.fstat(file.fileno())
                entry.size, entry.mode = status.st_size, status.st_mode & 0o777
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
