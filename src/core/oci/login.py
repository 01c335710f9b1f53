"""Tries a login, and finds what docker's own configuration knows of a registry."""

from __future__ import annotations

import os
import warnings
from urllib.parse import urljoin

from core.errors import AuthenticationError, ConfigurationError
from core.oci.auth import LOG_IN, Authorization
from core.oci.http import Http, refusal
from core.oci.reference import ENDPOINTS, loopback
from core.ports.container_registry import IDENTITY, RegistryLogin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def try_login(host: str, login: Callable[[], RegistryLogin | None], *, insecure: bool = False) -> None:
    """Ask the registry whether the login is right; raises as a push would."""
    scheme = "http" if insecure or loopback(host) else "https"
    url = urljoin(f"{scheme}://{ENDPOINTS.get(host, host)}", "/v2/")
    http, authorization = Http(host, tries=2), Authorization(host, login, [])
    try:
        answer = http.ask("GET", url)
        if answer.status == 401:
            authorization.renew(answer.headers.get("WWW-Authenticate", ""), http.ask)
            answer = http.ask("GET", url, headers={"Authorization": authorization.header})
        if answer.status == 401:
            known = login()
            who = "nobody (no login)" if known is None else repr(known.username)
            raise AuthenticationError(f"registry {host!r} does not accept the login of {who}", LOG_IN)
        if answer.status == 404:
            raise ConfigurationError(
                f"{host!r} is no container registry: it does not know the path /v2/", "check the host and its port"
            )
        if answer.status != 200:
            raise refusal(host, answer, "log in")
    finally:
        http.close()


def docker_login(host: str) -> RegistryLogin | None:
    """What `docker login` left for `host`, in its configuration or a credential helper; None where it knows nothing.

    Raises `ConfigurationError` when the helper fails, or when what one of them tells can't be read.
    """
    folder = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    if not os.path.exists(os.path.join(folder, "config.json")):
        return None
    from docker.auth import load_config  # start-up time: the SDK takes 150 ms, and many have no such file
    from docker.errors import DockerException  # start-up time: the same

    try:
        with warnings.catch_warnings():  # the SDK warns of a helper that is not there, and then raises
            warnings.simplefilter("ignore")
            found = load_config(config_path=os.path.join(folder, "config.json")).resolve_authconfig(host)
    except (DockerException, ValueError, LookupError, TypeError, AttributeError) as error:
        said = error if isinstance(error, DockerException) else f"it can't be read ({type(error).__name__}: {error})"
        raise ConfigurationError(
            f"docker's configuration in {folder!r} gives no login for registry {host!r}: {said}",
            "mend it, `docker login` again, or link a service connector to the registry",
        ) from error
    if not found:
        return None
    fields = {name.lower(): value for name, value in found.items()}
    if fields.get("identitytoken"):
        return RegistryLogin(IDENTITY, str(fields["identitytoken"]))
    return RegistryLogin(str(fields.get("username", "")), str(fields.get("password", "")))


def docker_auth(login: RegistryLogin | None) -> dict[str, str] | None:
    """A login as the SDK of docker takes it; None leaves it to docker's own configuration."""
    if login is None:
        return None
    if login.username == IDENTITY:
        return {"identitytoken": login.password}
    return {"username": login.username, "password": login.password}
