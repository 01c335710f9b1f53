"""A service connector without a cloud, for tests: how long its credentials live and what fails is up to the test.

`CORE_PLUGINS=core.testing.service_connector` makes its type, `memory`, known to the command line.
"""

from __future__ import annotations

import threading
import time

from core.errors import AuthenticationError, NotFoundError
from core.plugins import hookimpl
from core.ports.service_connector import (
    AuthField,
    AuthMethod,
    ConnectorType,
    Credentials,
    ResourceType,
    ServiceConnector,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LIFE = AuthField("life", "Seconds that credentials live; they do not end without it.")
MEMORY = ConnectorType(
    "memory",
    "A cloud in memory, for tests.",
    "core.testing.service_connector:MemoryConnector",
    (
        ResourceType("memory-generic", "The whole cloud."),
        ResourceType("memory-bucket", "A bucket.", "mem://BUCKET"),
    ),
    (
        AuthMethod(
            "password",
            "For tests: a user and a password.",
            (
                AuthField("user", "Who.", default="me"),
                AuthField("password", "What the cloud's `password` is.", secret=True, required=True),
                _LIFE,
            ),
        ),
        AuthMethod(
            "role",
            "For tests: a role, without a secret.",
            (AuthField("role", "Reader or writer.", choices=("reader", "writer"), required=True), _LIFE),
        ),
    ),
    auto=True,
)


class Cloud:
    """What `MemoryConnector` talks to."""

    def __init__(self) -> None:
        self.password = "open sesame"  # noqa: S105 - it opens nothing
        """What gets in."""
        self.buckets = ["mem://one", "mem://two", "mem://three"]
        """What there is."""
        self.page = 2
        """Buckets on a page of a listing."""
        self.failures: list[Exception] = []
        """What the next calls raise, first one first."""
        self.calls: list[str] = []
        """What was asked: `identity`, `page`, or `credentials`."""
        self.delay = 0.0
        """Seconds that a call takes."""
        self.clock: Callable[[], float] = time.time
        """Tells when credentials end."""
        self._lock = threading.Lock()

    def call(self, what: str) -> int:
        """Note that `what` was asked, fail if that is wanted; the number of the call."""
        with self._lock:
            self.calls.append(what)
            failure, number = self.failures.pop(0) if self.failures else None, len(self.calls)
        time.sleep(self.delay)
        if failure is not None:
            raise failure
        return number


CLOUD = Cloud()
"""The one of this process; a test that changes it puts it back: `monkeypatch.setattr(..., "CLOUD", Cloud())`."""


class MemoryConnector(ServiceConnector):
    """Asks `CLOUD`."""

    name = "memory"

    @classmethod
    def configured(cls, environment: Mapping[str, str], method: str = "") -> tuple[str, dict[str, str]]:
        if method in {"", "password"} and environment.get("MEMORY_PASSWORD"):
            return "password", {"password": environment["MEMORY_PASSWORD"]}
        raise NotFoundError("MEMORY_PASSWORD is not set", "set it to the cloud's password")

    def identity(self) -> str:
        CLOUD.call("identity")
        self._enter()
        return f"memory:{self.settings.get('user') or self.settings.get('role')}"

    def resources(self, resource_type: str) -> Iterator[str]:
        self._enter()
        if resource_type == "memory-generic":
            yield ""
            return
        for start in range(0, len(CLOUD.buckets), CLOUD.page):
            CLOUD.call("page")
            yield from CLOUD.buckets[start : start + CLOUD.page]

    def credentials(self, resource_type: str, resource_id: str = "") -> Credentials:
        number = CLOUD.call("credentials")
        self._enter()
        if resource_id and resource_id not in CLOUD.buckets:
            raise NotFoundError(f"there is no bucket {resource_id!r}", f"there are {', '.join(CLOUD.buckets)}")
        life = self.settings.get("life")
        ends = CLOUD.clock() + float(life) if life else None
        values = {"username": "me", "password": f"memory-token-{number}-{time.monotonic_ns()}"}
        return Credentials(resource_type, resource_id, values, ends)

    def _enter(self) -> None:
        if self.method == "password" and self.settings["password"] != CLOUD.password:
            raise AuthenticationError("the cloud in memory refuses the password", "give the right one")


@hookimpl
def core_connectors() -> list[ConnectorType]:
    """The type of the connector above."""
    return [MEMORY]
