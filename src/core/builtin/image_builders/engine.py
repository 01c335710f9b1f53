"""A Docker engine that builds, tags and pushes: through the SDK, and with BuildKit where docker's client can."""

from __future__ import annotations

import io
import os
import re
import tarfile
import time
from contextlib import contextmanager, suppress
from functools import cached_property

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from core.builtin.docker_host import address_of, knock, sdk_options
from core.builtin.image_builders.buildkit import Buildkit
from core.builtin.image_builders.verdict import build_error
from core.errors import AuthenticationError, ConfigurationError, InfrastructureError
from core.faults import failpoint
from core.image.context import context_files
from core.image.recipe import quoted
from core.oci.image import fits, misfit
from core.oci.login import docker_auth
from core.oci.reference import parse_reference
from core.ports.image_builder import BASE, USER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from core.ports.container_registry import RegistryLogin
    from core.ports.image_builder import Code, Recipe

NOBODY = "1000:1000"
"""Who containers run as where the base would run them as root."""
CODE = "core-code-"
"""Beginning of the names of containers that code is put in."""
STALLED = 600.0
"""Seconds after which nobody is at work at one of them."""
PAUSES = 0.5, 2.0
"""Seconds before a push is tried again: the engine tries layers again by itself, and no manifest."""
_PASSES = re.compile(r"(HTTP status|status from \w+ request to \S+): (429|5\d\d)|toomanyrequests", re.IGNORECASE)


def connect(host: str = "") -> Engine | None:
    """The engine at `host`, of DOCKER_HOST, or of docker's current context; None when none answers."""
    address = address_of(host)
    try:
        knock(address)
        client = docker.DockerClient(**sdk_options(address))
    except (DockerException, RequestException, OSError):
        return None
    try:
        client.ping()
    except (DockerException, RequestException, OSError):
        client.close()
        return None
    return Engine(client, address)


class Engine:
    """One engine. Methods raise `InfrastructureError` when it fails, `ConfigurationError` for what can't be built."""

    def __init__(self, client: docker.DockerClient, address: str) -> None:
        self._client = client
        self._address = address

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def find(self, name: str) -> str:
        """Id of the image with this name; empty when there is none."""
        with _told(f"look for {name}"):
            try:
                return str(self._client.images.get(name).id)
            except ImageNotFound:
                return ""

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Name an image."""
        with _told(f"name {image} {repository}:{tag}"):
            self._client.images.get(image).tag(repository, tag)

    def build(self, recipe: Recipe, login: RegistryLogin | None, say: Callable[[str], None]) -> str:
        """The id of the environment that `recipe` makes; `login` is for its base."""
        name = f"core-base:{recipe.key[:32]}"
        if recipe.own:
            base = self._run(recipe.own, {}, recipe.context, recipe, say)
        else:
            base = self.pull(recipe.base, login, recipe.platform)
        self.tag(base, *name.split(":"))
        user = self._about(base)["Config"].get("User") or ""
        own = NOBODY if user.partition(":")[0] in {"", "root", "0"} else user
        text = recipe.dockerfile.replace(BASE, name).replace(USER, own)
        return self._run(text, recipe.files, "", recipe, say)

    def add(self, environment: str, code: Code, login: RegistryLogin | None) -> str:
        """The id of an image that has `code` on top of `environment`: a container that never runs, committed."""
        base = environment if environment.startswith("sha256:") else self.pull(environment, login, "")
        lines = [f"ENV {name}={quoted(value)}" for name, value in code.environment.items()]
        lines += [f"LABEL {name}={quoted(value)}" for name, value in code.labels.items()]
        lines += [f"WORKDIR {code.workdir}"] if code.workdir else []
        api = self._client.api
        code.file.seek(0)
        with _told(f"put the code on {environment}"):
            self.sweep()
            container = api.create_container(base, name=f"{CODE}{os.urandom(8).hex()}")["Id"]
            try:
                api.put_archive(container, "/", code.file)
                failpoint("image.added")
                return str(api.commit(container, changes=lines, message="core: code")["Id"])
            finally:
                api.remove_container(container, v=True)

    def sweep(self) -> None:
        """Remove containers that `add` made and did not remove, for its process was killed."""
        api = self._client.api
        for found in api.containers(all=True, filters={"name": CODE}):
            if found["State"] == "created" and found["Created"] < time.time() - STALLED:
                with suppress(APIError):  # somebody else does it
                    api.remove_container(found["Id"], v=True)

    def pull(self, reference: str, login: RegistryLogin | None, platform: str) -> str:
        """The id of an image, fetched unless it is there; one for another platform is refused."""
        there = self.find(reference)
        if there and fits(self._platform(there), platform):
            return there
        if there and "@" not in reference:
            raise misfit(reference, [self._platform(there)], platform)
        parsed = parse_reference(reference)
        try:
            self._client.api.pull(
                parsed.name, parsed.version, auth_config=docker_auth(login), platform=platform or None
            )
        except (DockerException, RequestException) as error:
            if "no matching manifest" in _words(error):
                raise misfit(reference, [], platform) from error
            raise InfrastructureError(
                f"the Docker engine can't pull {reference}: {_words(error)}",
                "check that the engine reaches that registry, and that you may pull from it",
            ) from error
        there = self.find(reference)
        if not fits(self._platform(there), platform):
            raise misfit(reference, [self._platform(there)], platform)
        return there

    def _about(self, image: str) -> Mapping[str, Any]:
        """What the engine tells of an image that is there."""
        with _told(f"look at {image}"):
            return dict(self._client.images.get(image).attrs)

    def _platform(self, image: str) -> str:
        """What an image that is there is for."""
        about = self._about(image)
        return "/".join(str(about[key]) for key in ("Os", "Architecture", "Variant") if about.get(key))

    def push(self, image: str, repository: str, tag: str, login: RegistryLogin | None) -> str:
        """Send an image to `repository` under `tag`; gives its reference by digest. Tries again what may pass."""
        self.tag(image, repository, tag)
        failpoint("image.built")
        for pause in PAUSES:
            try:
                return self._pushed(repository, tag, login)
            except InfrastructureError as error:
                if not _PASSES.search(error.message):
                    raise
                time.sleep(pause)
        return self._pushed(repository, tag, login)

    def _pushed(self, repository: str, tag: str, login: RegistryLogin | None) -> str:
        digest = ""
        try:
            for line in self._client.api.push(
                repository, tag, stream=True, decode=True, auth_config=docker_auth(login)
            ):
                if "error" in line:
                    raise _push_error(repository, str(line["error"]))
                digest = line.get("aux", {}).get("Digest", digest)
        except (DockerException, RequestException) as error:
            raise _push_error(repository, _words(error)) from error
        if not digest:
            raise _push_error(repository, "it told no digest")
        return f"{repository}@{digest}"

    def _run(
        self, dockerfile: str, files: Mapping[str, bytes], folder: str, recipe: Recipe, say: Callable[[str], None]
    ) -> str:
        """Build one Dockerfile."""
        if self._buildkit is not None:
            return self._buildkit.build(dockerfile, files, folder, recipe.platform, recipe.secrets, say)
        if recipe.secrets:
            raise ConfigurationError(
                f"build secrets {', '.join(map(repr, recipe.secrets))} need BuildKit, which docker's client here lacks",
                "install docker's buildx plug-in (`docker buildx version` tells whether it is there)",
            )
        context = _context({**files, "Dockerfile": dockerfile.encode()}, folder)
        return self._through_sdk(context, recipe.platform, say)

    @cached_property
    def _buildkit(self) -> Buildkit | None:
        """BuildKit for this engine, where docker's client is here."""
        return Buildkit.find(self._address)

    def _through_sdk(self, context: bytes, platform: str, say: Callable[[str], None]) -> str:
        lines: list[str] = []
        try:
            told: Iterable[dict[str, Any]] = self._client.api.build(
                fileobj=io.BytesIO(context), custom_context=True, rm=True, forcerm=True, decode=True,
                platform=platform or None,
            )  # fmt: skip
            image = ""
            for line in told:
                for text in str(line.get("stream", "")).splitlines():
                    lines.append(text)
                    say(text)
                if "error" in line:
                    raise build_error([*lines, str(line["error"])])
                image = line.get("aux", {}).get("ID", image)
        except (DockerException, RequestException) as error:
            raise build_error([*lines, _words(error)]) from error
        return str(image)


def _context(files: Mapping[str, bytes], folder: str = "") -> bytes:
    """A build context as a tar: `files`, on top of those of `folder` that its `.dockerignore` lets pass."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        if folder:
            for name in context_files(folder):
                tar.add(os.path.join(folder, name), name, recursive=False)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Errors of the SDK as one of ours."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise InfrastructureError(
            f"the Docker engine can't {doing}: {_words(error)}", "see the engine's log"
        ) from error


def _words(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error)


def _push_error(repository: str, said: str) -> Exception:
    if any(word in said.lower() for word in ("unauthorized", "denied", "authentication", "no basic auth")):
        return AuthenticationError(
            f"the Docker engine may not push to {repository}: {said}",
            "link a service connector to the registry, or mend its login",
        )
    return InfrastructureError(
        f"the Docker engine can't push to {repository}: {said}", "check that the engine reaches the registry"
    )
