"""The `docker` orchestrator: each job is a container on the engine of this machine, or on the one of `DOCKER_HOST`.

The bundle goes to the container's stdin: it is never on a disk, reaches a remote engine too, and is not in what
`docker inspect` or the image's history tell. A container that lost its driver before it had the whole bundle ends by
itself; who goes on with the run launches the job again.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import ClassVar

from core.builtin.docker_host import address_of, knock, sdk_options, wants_certificates
from core.builtin.orchestrators.docker_config import NAMES, container_config, container_name
from core.errors import ConfigurationError, CoreError, ImageUnavailable, InfrastructureError, MissingDependencyError
from core.faults import failpoint
from core.model.job import JobCause, JobHandle, JobPhase, JobState
from core.ports.orchestrator import Orchestrator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from core.model.job import Job

UNTOLD = 75
"""Exit code of a job that was told nothing, or only a part of it: see `core.bundle`."""
LOST = 255
"""Exit code of what was at work when the engine itself ended."""
TOLD = 143
"""Exit code of a job that was told to end, or whose deadline was over: see `core.entrypoint`."""
STALLED = 600.0
"""Seconds after which nobody will start a container that was made."""
AGAIN = 16 << 20
"""Bytes of output up to which it is read once more for its end."""
_GONE = 404
_CONFLICT = 409
_WAITING = {"created": JobPhase.PENDING}
_ENDED = frozenset({"exited", "dead"})


class DockerOrchestrator(Orchestrator):
    """Containers are found again by their labels: a restarted driver goes on with them."""

    flavor: ClassVar[str] = "docker"
    Settings: ClassVar[Any] = "core.builtin.orchestrators.settings:DockerSettings"
    capabilities: ClassVar[frozenset[str]] = frozenset({"cancel", "reattach", "detach"})
    needs_image: ClassVar[bool] = True

    def __init__(self, settings: Any = None) -> None:
        if settings is None:
            from core.builtin.orchestrators.settings import DockerSettings  # start-up time: it brings pydantic

            settings = DockerSettings()
        super().__init__(settings)
        self.slots = settings.slots or os.cpu_count() or 1
        self.image, self.environment, self.engine = settings.image, settings.environment, address_of(settings.host)
        self.folders = self.engine.startswith(("unix://", "npipe://", "/"))  # the engine is this machine's
        self._engine: Any = None
        self._over: dict[str, JobState] = {}  # jobs whose containers were removed here

    def _client(self, *, new: bool = False) -> Any:
        """The engine's API; `new`: a connection of its own, for output that is followed."""
        if self._engine is not None and not new:
            return self._engine
        try:
            import docker  # an optional library, and a slow one
        except ImportError:
            hint = "install it: `pip install docker`"
            raise MissingDependencyError(f"orchestrator {self.name!r} needs the docker SDK", hint) from None
        with self._told("reached"):
            knock(self.engine)
            version = "auto" if self._engine is None else self._engine._version
            client = docker.APIClient(version=version, **sdk_options(self.engine))
        if not new:
            self._engine = client
        return client

    def requirements(self) -> tuple[str, ...]:
        """For a driver in a container."""
        return ("docker",)

    def moved(self) -> Any:
        """The same engine, by its address."""
        if not self.engine.startswith("unix://") and wants_certificates(self.engine):
            raise ConfigurationError(
                f"orchestrator {self.name!r}: the Docker engine at {self.engine} wants certificates of this machine, "
                "which a driver in a container has not",
                "run it without --detach, or reach the engine over its socket",
            )
        return self.settings.model_copy(update={"host": self.engine})

    def verify(self) -> None:
        """Ask the engine for its version."""
        client = self._client()
        with self._told("reached"):
            client.ping()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Errors of the SDK as errors of ours: the engine is away, or refused."""
        from docker.errors import APIError, DockerException  # an optional library
        from requests.exceptions import RequestException  # the SDK's

        where = f"orchestrator {self.name!r}: the Docker engine at {self.engine}"
        try:
            yield
        except APIError as error:
            said = f"{where} refused: {error.explanation or error}"
            raise InfrastructureError(said, "see the engine's log") from error
        except (DockerException, RequestException, OSError) as error:
            hint = "start it, or name another with `core orchestrator update` or DOCKER_HOST"
            raise InfrastructureError(f"{where} can't be {what}: {_short(error)}", hint) from error

    def prepare(self, run: str) -> None:  # noqa: ARG002 - the port's signature
        """Remove containers whose time is over, or that were never started: who launched them was killed."""
        client = self._client()
        with self._told("asked"):
            for found in client.containers(all=True, filters={"label": [NAMES["deadline"]]}):
                over = float(found["Labels"].get(NAMES["deadline"]) or "inf") < time.time()
                if over or (found["State"] == "created" and found["Created"] < time.time() - STALLED):
                    self._remove(found["Id"])

    def finish(self, run: str) -> None:
        """Remove what is left of the run."""
        client = self._client()
        with self._told("asked"):
            for found in client.containers(all=True, filters={"label": [f"{NAMES['run']}={run}"]}):
                self._remove(found["Id"])

    def pinned(self, image: str, before: str = "") -> str:
        if "@" in image or "@" in before:
            return before or image
        for name in filter(None, (before, image)):
            with suppress(CoreError):
                return self._pinned(name)
        return image

    def _pinned(self, image: str) -> str:
        """By the digest that its registry knows, else by its id on the engine; pulled unless it is there."""
        from docker.errors import ImageNotFound  # an optional library

        client = self._client()
        with self._told("asked"):
            try:
                about = client.inspect_image(image)
            except ImageNotFound:
                self._pull(client, image)
                about = client.inspect_image(image)
        repository = _split(image)[0]
        same = (name for name in about.get("RepoDigests") or () if name.partition("@")[0] == repository)
        return str(next(same, about["Id"]))

    def launch(self, job: Job) -> JobHandle:
        """Create and start its container, unless it is there already, and hand over the bundle."""
        image = job.image or self.image
        if not image:
            hint = "run it through a stack, which makes one, or set `image` of the orchestrator"
            raise ConfigurationError(f"job {job.id!r} has no image to run in orchestrator {self.name!r}", hint)
        client = self._client()
        with self._told("asked"):
            found = self._created(client, job, image)
            state = client.inspect_container(found)["State"]
            if state["Status"] in _ENDED and state["ExitCode"] == UNTOLD:  # its driver died before it had told it
                self._remove(found)
                found = self._created(client, job, image)
                state = client.inspect_container(found)["State"]
            if state["Status"] == "created":
                self._start(client, job, found, image)
        return JobHandle(job.id, self.flavor, {"container": found})

    def _created(self, client: Any, job: Job, image: str) -> str:
        """Id of the job's container, which is there from now on."""
        from docker.errors import APIError, ImageNotFound  # an optional library

        name = container_name(job.id)
        settings = self.moved() if job.driver else self.settings
        config = container_config(client, job, image, settings)
        for last in (False, True):
            try:
                return str(client.create_container_from_config(config, name)["Id"])
            except ImageNotFound as error:
                if last:
                    raise ImageUnavailable(f"image {image!r} is not there: {_short(error)}", "push it first") from error
                self._pull(client, image)
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                return str(client.inspect_container(name)["Id"])
        raise AssertionError  # the second turn ends

    def _pull(self, client: Any, image: str) -> None:
        from docker.errors import APIError  # an optional library

        from core.oci.login import docker_auth  # start-up time: it brings an HTTP client

        hint = "see that it was pushed, that its registry can be reached from the engine, and the registry's login"
        if image.startswith("sha256:"):
            raise ImageUnavailable(f"image {image!r} is not on the engine any more", hint)
        repository, tag = _split(image)
        try:
            login = docker_auth(self.login(image)) if self.login is not None else None
            for line in client.pull(repository, tag=tag or "latest", stream=True, decode=True, auth_config=login):
                if "error" in line:
                    raise ImageUnavailable(f"image {image!r} can't be pulled: {line['error']}", hint)
        except APIError as error:
            raise ImageUnavailable(f"image {image!r} can't be pulled: {_short(error)}", hint) from error

    def _start(self, client: Any, job: Job, container: str, image: str) -> None:
        """Start it with somebody at its stdin; its stdin ends when the driver does."""
        from docker.errors import APIError  # an optional library

        stream = client.attach_socket(container, params={"stdin": 1, "stream": 1})
        pipe = getattr(stream, "_sock", stream)
        failpoint("container.created")
        try:
            client.start(container)
            with suppress(OSError):  # it has ended, and its state tells
                pipe.sendall(job.bundle[:1])
                failpoint("container.started")
                pipe.sendall(job.bundle[1:])
                pipe.shutdown(socket.SHUT_WR)
                failpoint("container.told")
        except APIError as error:
            self._remove(container)
            if error.status_code in {400, 404} or "executable" in str(error) or "exec" in str(error):
                hint = f"see whether image {image!r} has {job.command[0]!r} in its PATH"
                raise ConfigurationError(f"job {job.id!r} can't be started: {_short(error)}", hint) from error
            raise
        finally:
            for held in (getattr(stream, "_response", stream), stream, pipe):
                held.close()

    def state(self, handles: Sequence[JobHandle]) -> Mapping[str, JobState]:
        """By what the engine says of each container."""
        client = self._client()
        with self._told("asked"):
            return {handle.job: self._state(client, handle) for handle in handles}

    def _state(self, client: Any, handle: JobHandle) -> JobState:
        from docker.errors import NotFound  # an optional library

        if handle.job in self._over:
            return self._over[handle.job]
        try:
            found = client.inspect_container(handle.data.get("container") or container_name(handle.job))
        except NotFound:
            return JobState(JobPhase.UNKNOWN, reason="its container is gone")
        return state_of(found)

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[str]:
        """What the engine kept of stdout and stderr, line by line.

        A stream that is followed ends without a last line that has no end (moby issue 43860): that is asked for again.
        """
        from docker.errors import APIError  # an optional library

        client, seen, size = self._client(new=True), 0, 0
        try:
            with self._told("asked"):
                container = handle.data.get("container") or container_name(handle.job)
                last: list[bytes] = []
                for line in _lines(client, container, follow=follow):
                    if follow and not line.endswith(b"\n"):
                        last = [line]
                        break
                    seen, size = seen + 1, size + len(line)
                    yield _text(line)
                if follow and size < AGAIN:
                    with suppress(APIError):  # it is removed by now
                        last = list(_lines(client, container, follow=False))[seen:]
                yield from map(_text, last)
        finally:
            client.close()

    def tell(self, handle: JobHandle) -> None:
        """SIGTERM to its first process, which hands it on."""
        from docker.errors import APIError  # an optional library

        client = self._client()
        with self._told("asked"):
            try:
                client.kill(handle.data.get("container") or container_name(handle.job), "SIGTERM")
            except APIError as error:
                if error.status_code not in {_GONE, _CONFLICT}:
                    raise

    def cancel(self, handle: JobHandle) -> None:
        """Kill it and remove its container; what it was is remembered here."""
        client = self._client()
        with self._told("asked"):
            before = self._state(client, handle)
            self._remove(handle.data.get("container") or container_name(handle.job))
        if before.phase in {JobPhase.PENDING, JobPhase.RUNNING}:
            before = JobState(JobPhase.CANCELLED, 137)
        if before.phase is not JobPhase.UNKNOWN:
            self._over[handle.job] = before

    def _remove(self, container: str) -> None:
        from docker.errors import APIError  # an optional library

        for _ in range(50):
            try:
                self._client().remove_container(container, force=True, v=True)
            except APIError as error:
                if error.status_code == _GONE:
                    return
                if error.status_code != _CONFLICT:
                    raise
                time.sleep(0.1)  # its removal is under way
            else:
                return

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            with suppress(Exception):
                self._engine.close()
            self._engine = None


def state_of(found: Mapping[str, Any]) -> JobState:
    """What `docker inspect` tells, as the state of a job."""
    state = found["State"]
    if state["Status"] not in _ENDED:
        return JobState(_WAITING.get(state["Status"], JobPhase.RUNNING))
    code = state["ExitCode"]
    if code == 0:
        return JobState(JobPhase.SUCCEEDED, 0)
    if state.get("OOMKilled"):
        limit = found.get("HostConfig", {}).get("Memory") or 0
        reason = f"limit {limit / (1 << 30):.3g} GiB" if limit else "the engine's machine had none left"
        return JobState(JobPhase.FAILED, code, reason, JobCause.OUT_OF_MEMORY)
    if code == LOST:
        reason = state.get("Error") or "the Docker engine ended while it ran"
        return JobState(JobPhase.FAILED, code, reason, JobCause.INFRASTRUCTURE)
    deadline = (found["Config"].get("Labels") or {}).get(NAMES["deadline"])
    if code == TOLD and deadline and float(deadline) <= datetime.fromisoformat(state["FinishedAt"]).timestamp():
        return JobState(JobPhase.FAILED, code, "", JobCause.DEADLINE)
    return JobState(JobPhase.FAILED, code, state.get("Error") or "")


def _split(image: str) -> tuple[str, str]:
    """Repository, and tag or digest (empty for none)."""
    repository, at, digest = image.partition("@")
    if at or ":" not in image.rpartition("/")[2]:
        return repository, digest
    return image.rpartition(":")[0], image.rpartition(":")[2]


def _lines(client: Any, container: str, *, follow: bool) -> Iterator[bytes]:
    """What the engine sends of its output: lines with their ends, and what comes behind the last end."""
    stream, rest = client.logs(container, stdout=True, stderr=True, stream=True, follow=follow), b""
    try:
        for data in stream:
            *lines, rest = (rest + data).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if rest:
            yield rest
    finally:
        try:
            with suppress(OSError):  # the engine has closed it
                stream.close()
        finally:
            stream._response.close()


def _text(line: bytes) -> str:
    return line.removesuffix(b"\n").decode(errors="replace")


def _short(error: BaseException) -> str:
    text = str(getattr(error, "explanation", None) or error)
    return text.splitlines()[0][:500] if text else type(error).__name__
