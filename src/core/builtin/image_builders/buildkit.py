"""BuildKit through docker's command line client: the SDK has none of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile

from core.builtin.docker_host import client_variables
from core.builtin.image_builders.verdict import build_error
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NEEDS_PLUGIN = 23
"""Version of the client since which BuildKit is a plug-in of its own (buildx)."""


class Buildkit(Value):
    """A client that can."""

    client: str
    """Path of the program."""
    address: str
    """Of the engine."""

    @classmethod
    def find(cls, address: str) -> Buildkit | None:
        """A client on PATH whose BuildKit works, for the engine at `address`; None when there is none."""
        return next((cls(path, address) for path in _clients() if _can(path)), None)

    def build(
        self,
        dockerfile: str,
        files: Mapping[str, bytes],
        folder: str,
        platform: str,
        secrets: Mapping[str, str],
        say: Callable[[str], None],
    ) -> str:
        """The id of the image; raises `ConfigurationError` with the last lines of a build that fails."""
        with tempfile.TemporaryDirectory(prefix="core-build-") as own:
            context = folder or os.path.join(own, "context")
            os.makedirs(context, exist_ok=True)
            for name, data in files.items():
                _write(os.path.join(context, name), data)
            _write(os.path.join(own, "Dockerfile"), dockerfile.encode())
            command = [self.client, "build", "--progress=plain", "--iidfile", os.path.join(own, "id")]
            command += ["--platform", platform, "-f", os.path.join(own, "Dockerfile")]
            for number, (name, value) in enumerate(secrets.items()):
                path = os.path.join(own, f"secret-{number}")
                _write(path, value.encode())
                command += ["--secret", f"id={name},src={path}"]
            self._call([*command, context], say)
            with open(os.path.join(own, "id"), encoding="utf-8") as file:
                return file.read().strip()

    def _call(self, command: list[str], say: Callable[[str], None]) -> None:
        environment = {**os.environ, "DOCKER_BUILDKIT": "1", **client_variables(self.address)}
        lines = []
        with subprocess.Popen(  # noqa: S603 - docker's own client
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                lines.append(line.rstrip("\n"))
                say(lines[-1])
        if process.returncode:
            raise build_error(lines)


def _clients() -> Iterator[str]:
    """Every `docker` on PATH, the first one first."""
    seen = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = shutil.which("docker", path=folder)
        if path and os.path.realpath(path) not in seen:
            seen.add(os.path.realpath(path))
            yield path


def _can(client: str) -> bool:
    """Whether it has BuildKit: inside, or as the plug-in buildx."""
    version = _says(client, "--version")
    major = re.search(r"version (\d+)", version)
    return (bool(version) and (int(major[1]) < NEEDS_PLUGIN if major else False)) or bool(
        _says(client, "buildx", "version")
    )


def _says(*command: str) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)  # noqa: S603 - the same
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _write(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
