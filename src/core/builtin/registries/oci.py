"""Any registry that speaks the OCI distribution API, and the public ones by name."""

from __future__ import annotations

from core.oci.login import docker_login, try_login
from core.oci.reference import HUB
from core.ports.container_registry import ContainerRegistry, RegistryLogin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar


class OciRegistry(ContainerRegistry):
    """Logs in with what the linked connector gives, else the settings, else docker's own configuration."""

    flavor: ClassVar[str] = "default"
    Settings: ClassVar[Any] = "core.builtin.registries.settings:RegistrySettings"
    resource_type: ClassVar[str] = "docker-registry"
    remote: ClassVar[bool] = True
    host: ClassVar[str] = ""
    """Host of the one registry that the flavor is for; empty: the settings say."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.uri = _under(self.host, settings.uri)
        self.insecure = settings.insecure

    @property
    def server(self) -> str:
        """Host and port."""
        return self.uri.partition("/")[0]

    def resource_id(self) -> str:
        return self.server

    def login(self) -> RegistryLogin | None:
        if self.credentials is not None:
            given = self.credentials()
            return RegistryLogin(given.values["username"], given.values["password"], given.expires_at)
        if self.settings.password is not None:
            return RegistryLogin(self.settings.username, self.settings.password.get_secret_value())
        return docker_login(self.server)

    def verify(self) -> None:
        try_login(self.server, self.login, insecure=self.insecure)


class DockerHubRegistry(OciRegistry):
    """Docker Hub: `--uri=NAME` or `--uri=docker.io/NAME`, NAME being the account."""

    flavor: ClassVar[str] = "dockerhub"
    host: ClassVar[str] = HUB


class GitHubRegistry(OciRegistry):
    """GitHub's registry: `--uri=OWNER`; the password is an access token that may write packages."""

    flavor: ClassVar[str] = "github"
    host: ClassVar[str] = "ghcr.io"


class GitLabRegistry(OciRegistry):
    """GitLab's registry: `--uri=GROUP/PROJECT`, or with a host for an instance of one's own."""

    flavor: ClassVar[str] = "gitlab"
    host: ClassVar[str] = "registry.gitlab.com"


def _under(host: str, uri: str) -> str:
    """`uri`, below `host` where it names none itself."""
    first = uri.partition("/")[0]
    named = "." in first or ":" in first or first == "localhost"
    return uri if named or not host else f"{host}/{uri}"
