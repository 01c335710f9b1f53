"""Service connector of a container registry: a user name and a password, tried over the distribution API."""

from __future__ import annotations

from core.errors import AuthenticationError, NotFoundError
from core.oci.auth import Authorization
from core.oci.http import Http, refusal
from core.oci.reference import ENDPOINTS, HUB, loopback
from core.ports.container_registry import RegistryLogin
from core.ports.service_connector import Credentials, ServiceConnector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class DockerConnector(ServiceConnector):
    """Gives the login that it was registered with; it does not expire."""

    name = "docker"

    @property
    def server(self) -> str:
        """Host of the registry, with its port."""
        return _host(self.settings["server"])

    def identity(self) -> str:
        self._log_in()
        return f"{self.settings['username']} at {self.server}"

    def resources(self, resource_type: str) -> Iterator[str]:  # noqa: ARG002 - there is one type
        self._log_in()
        yield self.server

    def credentials(self, resource_type: str, resource_id: str = "") -> Credentials:
        if resource_id and _host(resource_id) != self.server:
            raise NotFoundError(
                f"this connector is for registry {self.server!r}, not for {resource_id!r}",
                f"register one with --server={_host(resource_id)}",
            )
        self._log_in()
        login = {name: self.settings[name] for name in ("username", "password")}
        return Credentials(resource_type, resource_id or self.server, {"server": self.server, **login})

    def _log_in(self) -> None:
        """Ask the registry whether the login is right."""
        plain = self.settings.get("insecure") == "true" or loopback(self.server)
        url = f"{'http' if plain else 'https'}://{ENDPOINTS.get(self.server, self.server)}/v2/"
        http = Http(self.server, read=20, tries=3)
        try:
            answer = http.ask("GET", url)
            if answer.status == 401:
                entry = Authorization(self.server, self._login, [])
                entry.renew(answer.headers.get("WWW-Authenticate", ""), http.ask)
                answer = http.ask("GET", url, headers={"Authorization": entry.header})
            if answer.status != 200:
                raise refusal(self.server, answer, f"log in as {self.settings['username']!r}")
        except AuthenticationError as error:
            raise AuthenticationError(error.message, "give the right --username and --password=@FILE") from error
        finally:
            http.close()

    def _login(self) -> RegistryLogin:
        return RegistryLogin(self.settings["username"], self.settings["password"])


def _host(text: str) -> str:
    """Host and port of what people write for a registry."""
    bare = text.partition("://")[2] or text
    host = bare.partition("/")[0].lower()
    return HUB if host in {HUB, *ENDPOINTS, *ENDPOINTS.values()} else host
