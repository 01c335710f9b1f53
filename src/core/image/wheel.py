"""An installed package as a wheel, editable ones too: what runs here is what runs in the container, on no index."""

from __future__ import annotations

import io
import os
import re
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points, packages_distributions
from importlib.util import find_spec

from core.errors import ConfigurationError
from core.image.remember import settled
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.image.remember import Memory

PLUGINS = "core.plugins"
"""Group of the entry points of plugins."""
_TIME = (1980, 1, 1, 0, 0, 0)


class Package(Value):
    """A package that is installed here and travels as a wheel."""

    name: str
    version: str
    digest: str
    """Of the names and bytes of its modules."""
    module: str
    """What is imported of it: a folder, or one file."""

    @property
    def wheel(self) -> str:
        """File name of its wheel."""
        return f"{self.stem}-py3-none-any.whl"

    @property
    def stem(self) -> str:
        """Name and version as files have them."""
        return f"{re.sub('[-_.]+', '_', self.name)}-{self.version}"


def package(name: str, memory: Memory | None = None, module: str = "") -> Package:
    """The installed package `name`; raises `ConfigurationError` for one that is not pure Python, or not installed.

    `module` is given where it is not called like the package. Files that `memory` knows are not read again.
    """
    module = module or name.replace("-", "_")
    stamp, calm = _stamp(module)
    digest = memory.known("packages", name, stamp) if memory is not None else ""
    if not digest:
        digest = _digest(module)
        if memory is not None and calm:
            memory.keep("packages", name, stamp, digest)
    return Package(name, _installed(name).version, digest, module)


def _digest(module: str) -> str:
    whole = sha256()
    for path, data in _modules(module):
        whole.update(f"{path}\0{len(data)}\0".encode())
        whole.update(data)
    return f"sha256:{whole.hexdigest()}"


def _stamp(module: str) -> tuple[str, bool]:
    """What is the same as long as no file was touched, and whether the last touch is a while ago."""
    whole, times = sha256(), []
    for inside, path in _files(module):
        status = os.stat(path)
        times += [status.st_mtime_ns, status.st_ctime_ns]
        whole.update(f"{inside}\0{status.st_size}\0{times[-2:]}\0{status.st_ino}\n".encode())
    return whole.hexdigest(), settled(times)


def make_wheel(package: Package) -> bytes:
    """The bytes of its wheel: the same for the same files."""
    found = _installed(package.name)
    info = f"{package.stem}.dist-info"
    files = dict(_modules(package.module))
    files[f"{info}/METADATA"] = _metadata(found)
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: core\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    points = found.read_text("entry_points.txt")
    if points:
        files[f"{info}/entry_points.txt"] = points.encode()
    record = [f"{path},sha256={_hash(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            wheel.writestr(zipfile.ZipInfo(path, _TIME), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise ConfigurationError(
            f"package {name!r} is not installed, only its code is there", "install it: `pip install -e FOLDER`"
        ) from None


def package_of(module: str) -> str:
    """The installed package that has the module of a plugin: `core_plugin_aws` is in `core-plugin-aws`.

    Others are found by their entry points, which editable ones have too, or by their files.
    """
    named = module.replace("_", "-")
    try:
        distribution(named)
    except PackageNotFoundError:
        for point in entry_points(group=PLUGINS):
            if point.module.partition(".")[0] == module and point.dist is not None:
                return point.dist.name
        return packages_distributions().get(module, [named])[0]
    return named


def _modules(module: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file."""
    for inside, path in _files(module):
        with open(path, "rb") as file:
            yield inside, file.read()


def _files(module: str) -> Iterator[tuple[str, str]]:
    """Name in the wheel and path of each file; raises `ConfigurationError` for what is compiled or not there."""
    spec = find_spec(module)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders and spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        yield f"{module}.py", spec.origin
        return
    if not folders:
        raise ConfigurationError(f"package {module!r} has no folder to be packed", "reinstall it")
    for folder, below, names in os.walk(folders[0]):
        below[:] = sorted(each for each in below if each != "__pycache__")
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith((".so", ".pyd", ".dylib")):
                raise ConfigurationError(
                    f"package {module!r} is compiled ({name}): it can't be packed here", "publish it"
                )
            if not name.endswith((".pyc", ".pyo")):
                yield os.path.join(module, path[len(folders[0]) :].lstrip(os.sep)).replace(os.sep, "/"), path


def _metadata(found: Distribution) -> bytes:
    return (
        found.read_text("METADATA") or f"Metadata-Version: 2.1\nName: {found.name}\nVersion: {found.version}\n"
    ).encode()


def _hash(data: bytes) -> str:
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
